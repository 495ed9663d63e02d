"""What a recipe will take, told before anything is spent: arithmetic on its parameters, no image is read."""
