"""The demo: the main job, done through the doors that real people and product services use.

visitor    a person with an access token and HTTP, nothing else
archives   an archive checked by what is written in it
evidence   what the product databases say for themselves
story      the steps, each ending in something that is so or is not
cli        the demo as a command: progress, summary, exit code
"""
