"""Settings: what the user wants, who said so, and the file of a project that says it."""

from __future__ import annotations

from devdb.config.settings import FILE as FILE
from devdb.config.settings import NAME_LENGTH as NAME_LENGTH
from devdb.config.settings import ROOT_MARKS as ROOT_MARKS
from devdb.config.settings import Settings as Settings
from devdb.config.settings import check_name as check_name
from devdb.config.settings import has_file as has_file
from devdb.config.settings import is_project as is_project
from devdb.config.settings import load as load
from devdb.config.settings import project_root as project_root
from devdb.config.settings import repository_root as repository_root
from devdb.config.settings import slug as slug
from devdb.config.settings import suffixed as suffixed
