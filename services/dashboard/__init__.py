"""The dashboard: the pages on which people exercise their rights themselves.

It decides nothing and stores nothing: whatever it shows or does goes through the request API with
the person's own access token, so that nobody can do more here than there.

sessions     who is signed in, in memory
signing_in   an address and a password for an access token
api          what the pages ask of the request API
pages        one function a page
words        what states, events and refusals are called to people
rendering    templates in, responses out
guards       headers of every answer, and whose forms are taken
building     the application, put together from its parts
"""
