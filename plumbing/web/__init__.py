"""The web room: problem bodies, access tokens, the operation table, its document, the server.

problems         one error body for everyone
tokens           an access token in, a Caller out
authentication   who may call, and the bearer header
bodies           what callers send, within limits and against a model
operations       the table of operations and the application made of it
openapi          the document made of it
server           an application under uvicorn, stopped by process.Stop
"""

from plumbing.web.authentication import Auth, Authenticator, bearer
from plumbing.web.bodies import Wire
from plumbing.web.openapi import document
from plumbing.web.operations import Answer, Call, HeaderField, Op, application, routes
from plumbing.web.problems import FieldError, Problem, exception_handlers, of_status, respond
from plumbing.web.server import ServerDiedError, WebServer, serve
from plumbing.web.tokens import Caller, Issuer, IssuerUnavailable, TokenRefused, TokenVerifier

__all__ = [
    "Answer",
    "Auth",
    "Authenticator",
    "Call",
    "Caller",
    "FieldError",
    "HeaderField",
    "Issuer",
    "IssuerUnavailable",
    "Op",
    "Problem",
    "ServerDiedError",
    "TokenRefused",
    "TokenVerifier",
    "WebServer",
    "Wire",
    "application",
    "bearer",
    "document",
    "exception_handlers",
    "of_status",
    "respond",
    "routes",
    "serve",
]
