"""What docker-compose.yml needs beside the services: secrets, an installation, an issuer.

    python -m devstack.containers secrets    draws them, one a line, for a file named .env
    python -m devstack.containers prepare    makes databases, topics, bucket and keys
    python -m devstack.containers issuer     signs tokens for the demo's people

For development, like all of devstack: production brings its own issuer, secrets and databases.

preparing    what must be there before a service starts
drawing      the secrets of an installation
settings     what the two processes must be told
"""
