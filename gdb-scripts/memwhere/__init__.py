# SPDX-License-Identifier: GPL-2.0-or-later
"""memwhere in GDB: where did this process's memory go?

library     libmemwhere.so through ctypes; the C engine does all the walking
threads     the inferior's threads and registers
inferior    what GDB knows of the inferior, as the engine needs it
session     one engine an inferior, kept until the inferior changes
command     what all commands share: words, completion, output, errors
heap, pymalloc, objects, functions   the commands and functions by subsystem
"""


def load():
    from memwhere import command, functions, heap, objects, pymalloc, session

    session.watch()
    command.register()
    for module in (heap, pymalloc, objects, functions):
        module.register()


def unload():
    from memwhere import session

    session.unwatch()
