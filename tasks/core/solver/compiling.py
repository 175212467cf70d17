"""How the solver's functions are compiled: only the entrance becomes machine code, and everything it calls as part of it.

Numba optimises each function by itself, with all that it calls, and makes machine code of it, though only compiled code calls it:
of some two hundred functions that is nine tenths of the time. A function compiled here stays as Numba first wrote it until it is
linked into what calls it. There it is *internal*: nothing else can call it, so LLVM drops the arguments that nobody reads (of an
array that is most of what describes it) and puts the function where it is called, which makes the solver twice as fast.

Known limits: this reaches into Numba's code generator (0.61 to 0.68). Where that is not as known, functions are compiled the
usual way, which is slow and otherwise the same.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from numba import config, njit
from numba.core import cgutils, codegen, compiler
from numba.extending import intrinsic
from numba.np import arrayobj

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=tuple[Any, ...])


class _Quiet:
    """A code generator that has no machine code to tell an environment to."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def set_env(self, *_: object) -> None:
        """Nothing to do."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Part(codegen.JITCodeLibrary):
    """A function that others are linked with; never machine code by itself."""

    @property
    def codegen(self) -> Any:
        """The code generator."""
        return _Quiet(self._codegen)

    def finalize(self) -> None:
        """Link what it calls, and leave the rest to what calls it."""
        self._raise_if_finalized()  # type: ignore[no-untyped-call]
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()  # type: ignore[no-untyped-call]
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002 - as of the class
        """There is none."""
        self._ensure_finalized()  # type: ignore[no-untyped-call]
        return 0


class _Whole(codegen.JITCodeLibrary):
    """A function with all that it calls."""

    def _optimize_final_module(self) -> None:
        """Optimise, once what is linked in is known to be called from here only.

        Under a name of its own: another library's copy of the function, still with all its arguments, would be linked to this one.
        Numba's counting of references stays as it is, for the pass that removes most of it knows it by name.
        """
        for function in self._final_module.functions:
            is_part = function.linkage.name == "linkonce_odr" and not function.name.startswith("NRT_")
            if not function.is_declaration and is_part:
                function.linkage, function.name = "internal", f"{function.name}.in.{self.name}"
        super()._optimize_final_module()  # type: ignore[no-untyped-call]


def _compiler_into(library: type[codegen.JITCodeLibrary]) -> type[compiler.Compiler]:
    class Into(compiler.Compiler):
        """Compiles as usual, into a library of our own."""

        def define_pipelines(self) -> Any:
            """As usual."""
            self.state.library = library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
            self.state.library.enable_object_caching()
            return super().define_pipelines()  # type: ignore[no-untyped-call]

    return Into


def _is_known() -> bool:
    names = {name for each in codegen.JITCodeLibrary.__mro__[:-1] for name in vars(each)}
    needed = {"finalize", "get_pointer_to_function", "_get_module_for_linking", "_finalize_dynamic_globals"}
    return needed | {"_optimize_final_module"} <= names and hasattr(compiler.Compiler, "define_pipelines")


_PARTS: dict[str, Any] = {"pipeline_class": _compiler_into(_Part)} if _is_known() else {}
_WHOLES: dict[str, Any] = {"pipeline_class": _compiler_into(_Whole)} if _is_known() else {}


def compile_inner(function: F) -> F:
    """Compile a function that only compiled code calls.

    It is cached on disk as part of what calls it (``entry._entrance``), never by itself.
    """
    fast: F = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy", **_PARTS)(function)  # type: ignore[call-overload]
    return fast


def _borrow(typing_context: Any, columns: Any) -> Any:  # noqa: ARG001 - as Numba calls it
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kept = []
        for i, kind in enumerate(signature.return_type):
            column = arrayobj.make_array(kind)(context, builder, value=builder.extract_value(values[0], i))  # type: ignore[no-untyped-call]
            column.meminfo = cgutils.get_null_value(column.meminfo.type)  # type: ignore[no-untyped-call]
            kept.append(column._getvalue())
        return context.make_tuple(builder, signature.return_type, kept)

    return columns(columns), generate


def borrow(columns: C) -> C:
    """The same named tuple of arrays, whose references compiled code need not count: its caller keeps them.

    To count one takes as long as to read some ten numbers, and every mention of an array would be counted.
    """
    return columns


if not getattr(config, "DISABLE_JIT", 0):
    borrow = intrinsic(_borrow)  # type: ignore[assignment]


def compile_entrance(function: F) -> F:
    """Compile what Python calls, with all that it calls; cached on disk."""
    fast: F = njit(cache=True, nogil=True, error_model="numpy", **_WHOLES)(function)
    return fast


def sources_of(*modules: str) -> str:
    """A digest of the text of modules, by name, for a compiled entrance to close over.

    Numba looks only at the file of the function it caches, not at those of the functions it calls. What a function closes over is part of
    the name it is cached under: changed code is never run in its old form.
    """
    return hashlib.sha256("".join(inspect.getsource(sys.modules[module]) for module in modules).encode()).hexdigest()
