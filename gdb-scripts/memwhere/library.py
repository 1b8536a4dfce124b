# SPDX-License-Identifier: GPL-2.0-or-later
"""libmemwhere.so through ctypes. The structures mirror those that gdb-scripts/engine/engine.h uses."""
import os

import gdb

try:
    import ctypes
    from ctypes import (
        CFUNCTYPE,
        POINTER,
        Structure,
        c_bool,
        c_char,
        c_char_p,
        c_int,
        c_size_t,
        c_ssize_t,
        c_uint,
        c_uint64,
        c_void_p,
    )
except ImportError as error:
    raise gdb.GdbError("memwhere needs GDB's Python to have ctypes (%s)" % error)

ABI = 4
JSON, VERBOSE, UTF8 = 1, 2, 4
# What a document is about: enum mw_subject of report/documents.h.
IMAGE, ADDRESS, CLASS, TYPE, OBJECT, BEFORE = range(6)

READ = CFUNCTYPE(c_ssize_t, c_void_p, c_uint64, c_void_p, c_size_t)
FILE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, c_size_t)
CLOSE = CFUNCTYPE(None, c_void_p)
LOG = CFUNCTYPE(None, c_void_p, c_int, c_char_p)
WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)


class Err(Structure):
    _fields_ = [
        ("code", c_int),
        ("name", c_char * 32),
        ("where", c_char * 192),
        ("message", c_char * 1024),
        ("usage", c_bool),
    ]

    def __str__(self):
        where, message = (s.decode(errors="replace") for s in (self.where, self.message))
        return "%s: %s" % (where, message) if where else message


class Callbacks(Structure):
    _fields_ = [
        ("read", READ),
        ("file", FILE),
        ("close", CLOSE),
        ("arg", c_void_p),
    ]


# Registers of x86-64 whose words may hold an address, as arch/x86_64.c has them; two words each.
GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp") + tuple("r%d" % i for i in range(8, 16))
VECTORS = tuple("xmm%d" % i for i in range(16))
WORDS = len(GENERAL) + 2 * len(VECTORS)


class Thread(Structure):
    _fields_ = [
        ("tid", c_int),
        ("sp", c_uint64),
        ("thread_pointer", c_uint64),
        ("words", c_uint64 * WORDS),
        ("word_count", c_size_t),
    ]


class Description(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("pid", c_int),
        ("smaps", c_char_p),
        ("smaps_len", c_size_t),
        ("auxv", c_char_p),
        ("auxv_len", c_size_t),
        ("threads", POINTER(Thread)),
        ("thread_count", c_size_t),
    ]


class Target(Structure):
    _fields_ = [
        ("core", c_char_p),
        ("exe", c_char_p),
        ("sysroot", c_char_p),
        ("pid", c_int),
        ("description", POINTER(Description)),
        ("threads", POINTER(Thread)),
        ("thread_count", c_size_t),
        ("log", LOG),
        ("log_arg", c_void_p),
    ]


class Request(Structure):
    _fields_ = [
        ("address", c_uint64),
        ("size_class", c_uint64),
        ("type", c_char_p),
        ("depth", c_uint),
        ("top", c_uint64),
        ("min", c_uint64),
        ("root", c_char_p),
        ("all", c_bool),
        ("before", c_char_p),
    ]


class Output(Structure):
    _fields_ = [
        ("flags", c_uint),
        ("write", WRITE),
        ("arg", c_void_p),
    ]


def candidates():
    """Where the library may be: named, in the build folder, installed."""
    named = os.environ.get("MEMWHERE_LIBRARY")
    if named:
        return [named]
    scripts = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [
        os.path.normpath(os.path.join(scripts, place, "libmemwhere.so"))
        for place in ("../build", "../../../lib")
    ]


_library = None


def library():
    """The library, loaded at the first command, so that sourcing the scripts never fails."""
    global _library
    if _library:
        return _library
    paths = candidates()
    path = next((p for p in paths if os.path.exists(p)), None)
    if not path:
        raise gdb.GdbError(
            "libmemwhere.so is not there (looked for %s): build it with `make' in memwhere's "
            "folder, or name it in $MEMWHERE_LIBRARY" % ", ".join(paths)
        )
    try:
        lib = ctypes.CDLL(path)
        abi = lib.mw_engine_abi()
    except (OSError, AttributeError) as error:
        raise gdb.GdbError("%s can't be loaded: %s" % (path, error))
    if abi != ABI:
        raise gdb.GdbError(
            "%s is of another version (interface %d, these scripts need %d): build it again "
            "with `make'" % (path, abi, ABI)
        )
    lib.mw_engine__open.restype = c_void_p
    lib.mw_engine__open.argtypes = [POINTER(Target), POINTER(Callbacks), POINTER(Err)]
    lib.mw_engine__close.restype = None
    lib.mw_engine__close.argtypes = [c_void_p]
    lib.mw_engine__write.restype = c_int
    lib.mw_engine__write.argtypes = [
        c_void_p,
        c_char_p,
        POINTER(Request),
        POINTER(Output),
        POINTER(Err),
    ]
    lib.mw_engine_document.restype = c_char_p
    lib.mw_engine_document.argtypes = [c_size_t, POINTER(c_int)]
    _library = lib
    return lib


_documents = None


def documents():
    """The library's own table of documents: what each is about, by name."""
    global _documents
    if _documents is None:
        lib, found, subject = library(), {}, c_int()
        while True:
            name = lib.mw_engine_document(len(found), ctypes.byref(subject))
            if name is None:
                break
            found[name.decode()] = subject.value
        _documents = found
    return _documents
