"""Other people's `.env` files: a few keys set, and every other byte left as it is."""

from __future__ import annotations

from devdb.envfile.disk import Written as Written
from devdb.envfile.disk import ignored_by_git as ignored_by_git
from devdb.envfile.disk import write as write
from devdb.envfile.text import Action as Action
from devdb.envfile.text import Change as Change
from devdb.envfile.text import Edited as Edited
from devdb.envfile.text import edit as edit
