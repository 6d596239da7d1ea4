"""What the worker processes of one gateway share: places at backends, what they tell each other, who does what is done once."""
