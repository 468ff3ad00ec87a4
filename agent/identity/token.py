"""Token that refused a key: which of them are there, and what they say of the PIN (PKCS #11 v2.40).

OpenSSL's provider says only that there is no such key. So the module is asked itself, without a
PIN: each wrong one brings a token nearer to being locked.
"""

from __future__ import annotations

import ctypes

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import KeyUri

#: Places of functions in CK_FUNCTION_LIST, after its version.
INITIALIZE, FINALIZE, GET_SLOT_LIST, GET_TOKEN_INFO, FUNCTIONS = 0, 1, 4, 6, 7

#: CKR_CRYPTOKI_ALREADY_INITIALIZED: by the provider.
ALREADY = 0x191

#: CK_TOKEN_INFO: label, maker, model, serial number, flags, and ten numbers and a time.
LABEL, MAKER, MODEL, SERIAL, REST = 32, 32, 16, 16, 256

SLOTS_MAX = 64

#: Of a token whose files, or device, only others may open.
REACH = (
    "let the user pi-iot-agent open the token, its files or its device, and those of its library: "
    'see "A key in hardware" in provisioning.md'
)

#: Flags of a token (CKF_...).
LOGIN_REQUIRED, INITIALIZED = 0x4, 0x400
PIN_WRONG_BEFORE, PIN_LAST_TRY, PIN_LOCKED = 0x10000, 0x20000, 0x40000


class _TokenInfo(ctypes.Structure):
    _fields_ = (
        ("label", ctypes.c_char * LABEL),
        ("maker", ctypes.c_char * MAKER),
        ("model", ctypes.c_char * MODEL),
        ("serial", ctypes.c_char * SERIAL),
        ("flags", ctypes.c_ulong),
        ("rest", ctypes.c_char * REST),
    )


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", ctypes.c_char * 2), ("functions", ctypes.c_void_p * FUNCTIONS))


class Token(Value):
    """A token in its slot: its label, and its flags."""

    label: str
    flags: int


class Refusal(Value):
    """Reason for which a key cannot be used, what to do, and whether it was for a wrong PIN."""

    text: str
    hint: str
    wrong_pin: bool = False


class AnswerError(OSError):
    """A module that is sound, and answers that it cannot do its work."""


def refusal(uri: KeyUri) -> Refusal:
    """The reason for which there is no such key."""
    found = _found(uri)
    return found if isinstance(found, Refusal) else _trouble(uri, found) or _of_pin(uri, found)


def trouble(uri: KeyUri, *, ask: Callable[[Path], list[Token]] | None = None) -> Refusal | None:
    """The reason for which nobody can use the key, as far as that is seen without a PIN."""
    found = _found(uri, ask)
    return found if isinstance(found, Refusal) else _trouble(uri, found)


def _found(uri: KeyUri, ask: Callable[[Path], list[Token]] | None = None) -> Token | Refusal:
    """The token that the key is in, or why there is none."""
    module = uri.module
    if not module.exists():
        text = f"the PKCS #11 module {module} is not there"
        return Refusal(text, "install the package that has it")
    try:
        found = (ask or tokens)(module)
    except AnswerError as error:
        text = f"the PKCS #11 module {module} finds nothing it may use: {error}"
        return Refusal(text, REACH)
    except OSError as error:
        text = f"the PKCS #11 module {module} cannot be used: {error}"
        return Refusal(text, "see module-path= in the URI")
    wanted = uri.attribute("token")
    for one in found:
        if wanted in ("", one.label):
            return one
    shown = ", ".join(sorted(repr(one.label) for one in found))
    named = f"no token {wanted!r} is there" if wanted else "no token is there"
    return Refusal(
        f"{named}, but {shown}" if shown else named,
        f"plug it in; if it is, {REACH}",
    )


def _trouble(uri: KeyUri, token: Token) -> Refusal | None:
    name = repr(token.label)
    if token.flags & PIN_LOCKED:
        text = f"the token {name} is locked after too many wrong PINs"
        return Refusal(text, "unlock it with the PIN of its security officer", wrong_pin=True)
    if token.flags & LOGIN_REQUIRED and not uri.pin_file:
        return Refusal(
            f"the token {name} asks for a PIN", "add ?pin-source=file:/path/of/its/file to the URI"
        )
    return None


def _of_pin(uri: KeyUri, token: Token) -> Refusal:
    name = repr(token.label)
    if token.flags & (PIN_WRONG_BEFORE | PIN_LAST_TRY):
        last = "; one more locks it" if token.flags & PIN_LAST_TRY else ""
        text = f"the token {name} was given a wrong PIN{last}"
        return Refusal(text, f"put the right one into {uri.pin_file}", wrong_pin=True)
    return Refusal(
        f"the token {name} has no such private key, or does not take the PIN",
        "`pkcs11-tool --login -O` lists what it has",
    )


def tokens(module: Path) -> list[Token]:
    """The tokens that are there. Raises OSError where the module is none, or does not answer."""
    library = ctypes.CDLL(str(module))
    listed = ctypes.POINTER(_FunctionList)()
    try:
        _ask("C_GetFunctionList", library.C_GetFunctionList(ctypes.byref(listed)))
    except AttributeError:
        raise OSError("it is no PKCS #11 module") from None
    kind = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)

    def call(place: int, *arguments: object) -> int:
        function = kind(listed.contents.functions[place])
        return int(function(*arguments, *[None] * (3 - len(arguments))))

    begun = _ask("C_Initialize", call(INITIALIZE))
    try:
        slots, count = (ctypes.c_ulong * SLOTS_MAX)(), ctypes.c_ulong(SLOTS_MAX)
        there = 1
        _ask(
            "C_GetSlotList",
            call(GET_SLOT_LIST, there, ctypes.byref(slots), ctypes.byref(count)),
        )
        found = []
        for slot in slots[: count.value]:
            info = _TokenInfo()
            gone = call(GET_TOKEN_INFO, slot, ctypes.byref(info))
            if not gone and info.flags & INITIALIZED:
                found.append(Token(info.label.decode("utf-8", "replace").rstrip(), info.flags))
        return found
    finally:
        if begun:
            call(FINALIZE)


def _ask(name: str, answer: int) -> bool:
    """True if a function of the module did it now; OSError unless all is well."""
    if answer not in (0, ALREADY):
        raise AnswerError(f"{name} answered {answer:#x}")
    return answer == 0
