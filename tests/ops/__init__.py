"""Row tables of the operator families, one file a family."""
