"""Reason phrases of replies that the server makes itself (core/error.c)."""

from __future__ import annotations

ERROR_TEXT = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
    183: "Session Progress", 200: "OK", 300: "Multiple Choices", 301: "Moved Permanently",
    302: "Moved Temporarily", 305: "Use Proxy", 380: "Alternative Service", 400: "Bad Request",
    401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
    408: "Request Timeout", 410: "Gone", 413: "Request Entity Too Large",
    414: "Request-URI Too Long", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme",
    417: "Bad Extension", 421: "Extension Required", 423: "Interval Too Brief",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Server Time-Out", 505: "Version Not Supported",
    513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
    604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip
_GENERIC = {
    3: "Redirect", 4: "Request Failure", 5: "Server Failure", 6: "Global Failure",
}  # fmt: skip
_INTERNAL = {
    -477: (477, "Unfortunately error on sending to next hop occurred"),
    -478: (478, "Unresolvable destination"),
    -400: (400, "Bad Request"),
    -479: (479, "Regretfully, we were not able to process the URI"),
    -9: (400, "Transaction tuple incomplete"),
    -13: (400, "Bad To"),
    -11: (500, "Error in external logic"),
    -12: (500, "Forking capacity exceeded"),
    -487: (487, "Transaction canceled"),
    0: (500, "No error"),
}


def error_text(code: int) -> str:
    """The phrase of a status code."""
    return ERROR_TEXT.get(code) or _GENERIC.get(code // 100, "Response")


def reason_phrase(error: int) -> tuple[int, str]:
    """The status code and phrase of an internal error."""
    return _INTERNAL.get(error, (500, "I'm terribly sorry, server error occurred"))
