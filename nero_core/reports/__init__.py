"""Tables, pages and pictures that leave the program."""
