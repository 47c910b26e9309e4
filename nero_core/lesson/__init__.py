"""What the lesson computes and says: seven steps on bundled pictures, for the page, the handout and the notebook."""
