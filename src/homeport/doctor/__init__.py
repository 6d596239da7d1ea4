"""What is wrong, and how to put it right: looks that touch the world, each bounded in time, and judgements on what they saw.

`examination` is the whole round; `case` is what it is made on; a `diagnosis` is what comes of it.
"""
