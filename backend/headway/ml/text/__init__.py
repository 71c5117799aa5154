"""Text into tokens: documents from files, packed contexts, and a memory-mapped token store."""
