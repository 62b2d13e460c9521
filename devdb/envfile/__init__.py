"""Other people's `.env` files: a few keys set, and every other byte left as it is."""

from __future__ import annotations

from devdb.envfile.disk import FILES as FILES
from devdb.envfile.disk import Git as Git
from devdb.envfile.disk import Written as Written
from devdb.envfile.disk import git_has as git_has
from devdb.envfile.disk import present as present
from devdb.envfile.disk import read as read
from devdb.envfile.disk import write as write
from devdb.envfile.text import Action as Action
from devdb.envfile.text import Change as Change
from devdb.envfile.text import Edited as Edited
from devdb.envfile.text import check_key as check_key
from devdb.envfile.text import edit as edit
