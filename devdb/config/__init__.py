"""Settings: what the user wants, who said so, and the file of a project that says it."""

from __future__ import annotations

from devdb.config.file import FILE as FILE
from devdb.config.file import has_file as has_file
from devdb.config.naming import check_name as check_name
from devdb.config.naming import slug as slug
from devdb.config.naming import suffixed as suffixed
from devdb.config.project import is_project as is_project
from devdb.config.project import project_root as project_root
from devdb.config.project import repository_root as repository_root
from devdb.config.settings import Settings as Settings
from devdb.config.settings import load as load
