"""What the worker processes of one gateway share, and the gateways of a fleet: places at backends, what they tell each other, who does what is done once."""
