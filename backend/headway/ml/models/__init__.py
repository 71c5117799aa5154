"""Models and tokenizers out of local folders, without running any code of theirs."""
