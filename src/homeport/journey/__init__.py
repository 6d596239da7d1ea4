"""The steps of a request, one verb a file, in the order of the journey and of the alphabet."""
