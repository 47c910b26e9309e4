"""The bundled reference and the pictures to try it on."""
