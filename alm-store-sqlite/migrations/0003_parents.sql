-- What is known of apps and versions that live elsewhere: the app that each is or is of, or NULL once it is gone. A row never goes,
-- for what is gone must stay known as gone.
CREATE TABLE alm_known_apps (
    id INTEGER PRIMARY KEY,
    app_id INTEGER
) STRICT;

CREATE TABLE alm_known_versions (
    id INTEGER PRIMARY KEY,
    app_id INTEGER
) STRICT;
