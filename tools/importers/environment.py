"""Python modules that the importers need beyond the standard library, in an environment made when they are missing."""
import importlib
import os
import subprocess
import sys
from pathlib import Path

from .facts import Problem

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements-import.txt"


def need(module, what):
    """Imports a module; where this Python lacks it, starts again in an environment that has it (made with pip once)."""
    try:
        return importlib.import_module(module)
    except ImportError:
        pass
    venv = Path(os.environ.get("ASSIZE_IMPORT_VENV") or Path.home() / ".cache" / "assize" / "import-venv")
    python = venv / "bin" / "python"
    advice = f"{what} need {module.split('.')[0]}: run tools/import-suite with a Python that has it (PYTHON tools/import-suite …)"
    if os.environ.get("ASSIZE_IN_IMPORT_VENV"):
        raise Problem(advice)
    stamp = venv / ".requirements"
    if not stamp.is_file() or stamp.read_text() != REQUIREMENTS.read_text():
        print(f"import-suite: making {venv} ({what} need {module.split('.')[0]})", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, stdout=sys.stderr)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Problem(f"{advice}, or give pip a network ({error})") from error
        stamp.write_text(REQUIREMENTS.read_text())
    sys.stdout.flush()
    os.environ["ASSIZE_IN_IMPORT_VENV"] = "1"
    os.execv(str(python), [str(python), *sys.argv])
