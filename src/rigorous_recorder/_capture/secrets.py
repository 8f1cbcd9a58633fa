"""Masking of what looks like a secret, in arguments, addresses and diffs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = [
    "MASK",
    "masked",
    "masked_arguments",
    "masked_diff",
    "masked_lines",
    "without_credentials",
]

MASK: Final = "***"

#: A name is that of a secret if its last words are one of these: ``api_key``, not ``max_tokens``.
_WORDS: Final = (
    r"(?i:pass(?:words?|wds?|phrases?|codes?)?|pwd|pw|secrets?|token|credentials?|jwt"
    r"|o?auth(?:orization)?|bearer|cookies?|(?:api|access|private|secret|account|encryption|signing"
    r"|auth|master|ssh|licen[cs]e|wandb|client|storage|subscription|webhook)[-_. ]?keys?(?:[-_.]?ids?)?)"
)
_NAME: Final = rf"(?<![\w.-])(?:[\w.-]*(?:[-_.]|[a-z](?=[A-Z])))?{_WORDS}(?![\w-])"
_IS_SECRET: Final = re.compile(_NAME)
#: Assignments as in code, YAML, JSON, ``.env`` files and shells.
_ASSIGNED: Final = re.compile(
    rf"""({_NAME})(["']?\]?\s*(?::\s*\w+\s*=|[:=])>?\s*)("[^"\n]*"?|'[^'\n]*'?|\[[^]\n]*]?|[^\s,;&)}}\]]+)"""
)
#: Forms of well-known services: they are secrets whatever their names.
_KNOWN: Final = re.compile(
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_\w{20,}|sk-[\w-]{16,}|sk_live_\w{16,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{30,}|wandb_v1_\w{20,}|dckr_pat_\w{20,}"
    r"|hooks\.slack\.com/services/[^\s\"']+|discord(?:app)?\.com/api/webhooks/[^\s\"']+"
    r"|npm_\w{30,}|pypi-[\w-]{30,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_USER_OF_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@\"']*@", re.IGNORECASE)
_HEADER: Final = re.compile(
    r"\b(Bearer|Basic|authorization[\"']?\s*[:=]\s*[\"']?\w+)\s+[\w.~+/=-]{8,}", re.IGNORECASE
)
#: Addresses that are a permission themselves.
_SIGNED: Final = re.compile(
    r"([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|security-token))=)[^&\s\"']+", re.IGNORECASE
)
#: As ``scp`` and ``rsync`` take them; an image with a digest is none.
_USER_OF_HOST: Final = re.compile(r"(?<![\w/:.-])[\w.-]+:[^\s@/:]+@(?=[\w.-]+)(?!sha256:)")
#: Files whose changes are not recorded at all.
_SECRET_FILE: Final = re.compile(
    r"(?:^|/)(?:\.env(?:\..*|rc)?|\.netrc|\.pgpass|\.npmrc|\.pypirc|\.git-credentials|id_[a-z0-9]+"
    r"|[^/]*(?:secret|credential)[^/]*|.*\.(?:pem|key|p12|pfx|jks|keystore|kdbx))$",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """Text in which values of secret names, credentials of addresses and known tokens are ``***``."""
    text = _PEM.sub(MASK, text)
    text = _USER_OF_URL.sub(rf"\1{MASK}@", text)
    text = _SIGNED.sub(rf"\1{MASK}", _HEADER.sub(rf"\1 {MASK}", text))
    return _ASSIGNED.sub(_mask_value, _KNOWN.sub(MASK, text))


def masked_lines(text: str) -> str:
    """Like ``masked``, fast for long files with many addresses and hashes, such as lock files."""
    lines = text.splitlines(keepends=True)
    return _KNOWN.sub(
        MASK, "".join(masked(each) if "@" in each or "?" in each else each for each in lines)
    )


def _mask_value(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    begin, end = {'"': ('"', '"'), "'": ("'", "'"), "[": ("[", "]")}.get(value[0], ("", ""))
    return f"{name}{between}{begin}{MASK}{end}"


def masked_arguments(arguments: Iterable[str]) -> list[str]:
    """Arguments of a command; also ``--api-key VALUE`` and ``--api-keys VALUE VALUE`` lose theirs."""
    found, is_value, has_several = [], False, False
    for each in arguments:
        if is_value and not each.startswith("--"):
            found.append(MASK)
            is_value = has_several
            continue
        is_value = "=" not in each and _IS_SECRET.fullmatch(each.lstrip("-")) is not None
        has_several = each.endswith("s") and not each.endswith("ss")
        found.append(_USER_OF_HOST.sub(f"{MASK}@", masked(each)))
    return found


def without_credentials(address: str) -> str:
    """The address of a repository, without user, password and query."""
    if "://" in address:
        address = _USER_OF_URL.sub(r"\1", address)
        return masked(re.split(r"[?#]", address, maxsplit=1)[0])
    before, at, rest = address.partition("@")
    is_plain_user = ":" not in before and "/" not in before
    return masked(address if not at or (is_plain_user and before == "git") else rest)


def masked_diff(diff: str) -> str:
    """A diff whose secrets are masked; of files that hold secrets only the names are left."""
    return "".join(_masked_files(diff))


def _masked_files(diff: str) -> Iterator[str]:
    for part in re.split(r"(?m)^(?=diff --git )", diff):
        header, newline, _ = part.partition("\n")
        paths = re.findall(r"[ab]/(.+?)(?=\"? \"?b/|\"?$)", header)
        if any(_SECRET_FILE.search(path) for path in paths):
            yield f"{header}{newline}{MASK}\n"
        else:
            yield masked(part)
