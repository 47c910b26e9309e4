"""Networks: their parts, their weights, what one pass through them gives, and how they are trained."""
