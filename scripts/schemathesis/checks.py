"""A check of ours for schemathesis: a request that fits the schema is refused only for what no schema can say."""

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.failures import Failure

# The `code`s of problems, and why a schema cannot rule them out. Whatever else is refused with these statuses shows
# that the schema promises more than the server keeps.
BEYOND_THE_SCHEMA = {
    "unknown-parent": "an id has the right form; whether something bears it, the store knows",
    "not-the-app-of-the-version": "the two ids are right, each for itself",
    "precondition-failed": "If-Match names a revision that is not the current one",
    "idempotency-key-reused": "the key came before, with another body",
    "invalid-cursor": "`after` is opaque: only what a list has given is one",
}


@schemathesis.check
def refused_only_beyond_the_schema(ctx: CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    if response.status_code not in (400, 412, 422) or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    # A refused field has a code of its own; the problem as a whole then says no more than that there is one.
    codes = {error["code"] for error in problem.get("errors", [])} or {problem["code"]}
    if surprising := codes - BEYOND_THE_SCHEMA.keys():
        raise Failure(
            operation=case.operation.label,
            title="Refused although the schema allows it",
            message=f"Say in the schema what makes this {', '.join(sorted(surprising))}, or accept the request.",
        )
