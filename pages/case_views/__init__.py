"""What Case review consists of: the verdict, the account, the gallery."""
