"""Pictures and faces: what embeds them, finds them and groups them."""
