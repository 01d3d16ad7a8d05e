import subprocess
import sys

import tuneoff.data


def test_every_public_name_is_there():
    assert all(hasattr(tuneoff.data, name) for name in tuneoff.data.__all__)


def test_importing_the_room_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'numpy'}"
    code = f"import sys, tuneoff.data; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
