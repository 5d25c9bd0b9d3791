"""Names of users have a limit."""

import pytest

from auditor.core.form_limits import MAX_USER_NAME_CHARS
from auditor.users.service import UserError, add_user
from storage.models.users import Role
from storage.store import Store
from tests.support.web_server import NOW


@pytest.mark.limit("auditor.core.form_limits.MAX_USER_NAME_CHARS")
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_longer_name_is_refused(tmp_path, step):
    name = "x" * (MAX_USER_NAME_CHARS + step)
    store = Store.open(f"sqlite:///{tmp_path}/auditor.db")
    if step <= 0:
        assert add_user(store, name, Role.READER, (), author="shell", now=NOW)[0].name == name
    else:
        with pytest.raises(UserError, match="100 characters"):
            add_user(store, name, Role.READER, (), author="shell", now=NOW)
    store.close()
