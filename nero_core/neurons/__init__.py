"""What single neurons look for: reference images and their crops, rankings, statistics over groups of images."""
