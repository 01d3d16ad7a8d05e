import subprocess
import sys

import tuneoff.data


def test_every_public_name_exists():
    assert all(hasattr(tuneoff.data, name) for name in tuneoff.data.__all__)


def test_importing_the_package_imports_no_heavy_library():
    heavy = "{'torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'numpy'}"
    code = f"import sys, tuneoff.data; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
