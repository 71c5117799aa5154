"""Where models and text come from: a hub, a local folder or an installed package, each verified before it is used."""
