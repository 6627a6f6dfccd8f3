"""Why an action is due, in words that a person can read aloud."""

from typing import assert_never

from controller.model.plan import Action, ActionReason


def why(action: Action) -> str:
    """Why the action is due."""
    match action.reason:
        case ActionReason.NOT_ON_PREFERRED:
            return f"{action.source} is not among its preferred nodes"
        case ActionReason.EARLIER_PREFERRED_FREE:
            return f"{action.target} is an earlier choice and can take it"
        case ActionReason.OUTSIDE_POSSIBLE:
            return f"it must not run on {action.source}"
        case ActionReason.MAKES_ROOM:
            return f"makes room for {action.because_of}"
        case ActionReason.HOP:
            return f"stops over, so that {action.because_of} can move first"
        case ActionReason.HOP_RETURN:
            return "goes on from its stop-over"
        case ActionReason.NOT_HIGHLY_AVAILABLE:
            return "it is not highly available yet"
        case ActionReason.ABSENT:
            return "it does not exist yet"
        case ActionReason.CREATED_BY_US:
            return "it was created by us and never started"
        case ActionReason.REGISTERED_BY_US:
            return "it was registered by us and its role is offline"
        case _:
            assert_never(action.reason)
