"""Verifies session JWTs locally with Stytch's Python SDK, and reads the JWKS with its typed models.

Reads {"url", "project_id", "secret", "consumer": [jwt], "b2b": [jwt]} from standard input and writes what the SDK says.
"""

import json
import sys

import stytch


def factors(session):
    return [[factor.type.value, factor.delivery_method.value] for factor in session.authentication_factors]


given = json.load(sys.stdin)
settings = {
    "project_id": given["project_id"],
    "secret": given["secret"],
    "environment": given["url"] + "/",
    "suppress_warnings": True,
}
consumer = stytch.Client(**settings)
b2b = stytch.B2BClient(**settings)

keys = [client.sessions.get_jwks(project_id=given["project_id"]).keys for client in (consumer, b2b)]
users = [consumer.sessions.authenticate_jwt_local(jwt) for jwt in given["consumer"]]
members = [b2b.sessions.authenticate_jwt_local(jwt) for jwt in given["b2b"]]

json.dump(
    {
        "keys": [[key.kid for key in found] for found in keys],
        "consumer": [[user.user_id, factors(user)] for user in users],
        "b2b": [[member.member_id, member.organization_id, factors(member)] for member in members],
    },
    sys.stdout,
)
