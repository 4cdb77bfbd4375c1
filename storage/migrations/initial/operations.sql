-- What a deployment keeps about itself.

-- With which identity key this database's ids were derived: one row.
CREATE TABLE deployment (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT deployment_one_row CHECK (singleton),
    identity_key text NOT NULL
);

-- What operators must know that concerns no single payment: one row a kind, subject and day.
CREATE TABLE alarms (
    kind text NOT NULL,
    subject text NOT NULL,
    day date NOT NULL,
    count bigint NOT NULL DEFAULT 1 CONSTRAINT alarms_counted CHECK (count > 0),
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    detail text NOT NULL,
    PRIMARY KEY (kind, subject, day)
);
