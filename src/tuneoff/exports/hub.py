"""Upload an exported folder to the Hugging Face hub."""

from __future__ import annotations

import os
from pathlib import Path

from tuneoff.errors import RunError
from tuneoff.exports.exporting import CHECK_FILE

TOKEN, ENDPOINT = "HF_TOKEN", "HF_ENDPOINT"  # names of environment variables


def require_token() -> str:
    """Return the token of the environment, which is stored nowhere.

    Raises:
        RunError: there is none.
    """
    if token := os.environ.get(TOKEN, "").strip():
        return token
    raise RunError(
        f"There is no token for the hub. Set {TOKEN} to one that may write (https://huggingface.co/settings/tokens)."
    )


def upload(folder: Path, repository: str, *, public: bool) -> str:
    """Upload the folder to a repository, which is created if it does not exist, and return the address of the commit.

    Raises:
        RunError: there is no token, the folder is no export, the hub refuses, or the repository is public already and
            `public` was not asked for.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    token = require_token()
    if not (folder / CHECK_FILE).is_file():
        raise RunError(f"{folder} is not an exported folder: it has no {CHECK_FILE}. Write one with `tuneoff export`.")
    api = HfApi(endpoint=os.environ.get(ENDPOINT), token=token)
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        if not public and not api.model_info(repository).private:
            raise RunError(f"{repository} exists and is public. Add --public, or name another repository.")
        commit = api.upload_folder(folder_path=folder, repo_id=repository, commit_message="Upload from tuneoff")
    except RunError:
        raise
    except (HfHubHTTPError, HFValidationError, OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].replace(token, "…")
        raise RunError(
            f"{repository} could not be uploaded: {reason}. The folder {folder} is kept. Check the name and {TOKEN}, "
            f"and run `hf upload {repository} {folder}`."
        ) from error
    return str(commit)
