"""Small apps on Homeport: `make example NAME=…` starts one; README.md says which there are."""
