-- The journal product's database: entries, what a model made of them, and uploaded pictures.
CREATE TABLE journal_entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    user_id text NOT NULL,
    written_at timestamptz NOT NULL,
    mood text,
    body text NOT NULL,
    tags text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX journal_entry_owner ON journal_entry (tenant, user_id, id);

CREATE TABLE journal_analysis (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry_id bigint NOT NULL REFERENCES journal_entry (id),
    made_at timestamptz NOT NULL,
    model text NOT NULL,
    prompt_version integer NOT NULL,
    emotions jsonb NOT NULL,
    summary text
);
CREATE INDEX journal_analysis_entry ON journal_analysis (entry_id, id);

CREATE TABLE journal_upload (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    user_id text NOT NULL,
    entry_id bigint REFERENCES journal_entry (id),
    uploaded_at timestamptz NOT NULL,
    file_name text NOT NULL,
    media_type text NOT NULL,
    content bytea NOT NULL
);
-- Pictures do not compress; kept plain, pieces of them can be read without the rest.
ALTER TABLE journal_upload ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX journal_upload_owner ON journal_upload (tenant, user_id, id);
CREATE INDEX journal_upload_entry ON journal_upload (entry_id);

INSERT INTO journal_entry (tenant, user_id, written_at, mood, body, tags) VALUES
('acme-wellbeing', 'u-48210077', '2026-01-04 07:12:00+01', 'calm',
 'Walked along the harbour before work. The water was flat as glass.', '{morning,walk}'),
('acme-wellbeing', 'u-48210077', '2026-01-19 22:40:10.125+01', 'tired',
 E'Long day.\nTried the breathing exercise twice:\n\t- once on the bus\n\t- once at home', '{}'),
('acme-wellbeing', 'u-48210077', '2026-02-02 18:05:00+01', 'proud',
 'Sent the application! "Nothing ventured" said Émile, and he was right.', '{work}'),
('acme-wellbeing', 'u-48210077', '2026-02-21 09:00:00+01', NULL,
 'Could not find a word for today.', '{}'),
('acme-wellbeing', 'u-48210077', '2026-03-29 01:59:59+01', 'restless',
 'Awake when the clocks changed. An hour went missing.', '{night}'),
('acme-wellbeing', 'u-48210077', '2026-04-11 20:15:00+02', 'happy',
 'Grand-mère called. We sang 🎶 and laughed about the C:\old\photos folder.', '{family}'),
('acme-wellbeing', 'u-48210077', '2026-06-30 12:00:00+02', 'calm',
 '日記: 今日は静かな一日でした。', '{}'),
('acme-wellbeing', 'u-48210077', '2026-09-14 21:30:00+02', 'hopeful',
 'First session with the new coach. I talked, she listened.', '{coaching}'),
('acme-wellbeing', 'u-48210078', '2026-02-10 08:00:00+01', 'calm',
 'Read for an hour. Kept the phone in the drawer.', '{reading}'),
('acme-wellbeing', 'u-48210078', '2026-05-23 19:45:00+02', 'sad',
 'The garden flooded. The roses will not make it.', '{}'),
('acme-wellbeing', 'u-48210079', '2026-03-03 17:20:00+01', 'busy',
 'Five sessions today. Note to self: leave gaps.', '{coaching}'),
('northwind-care', 'u-48210077', '2026-07-07 10:10:00+02', 'curious',
 'A second journal for a second place. Let us see.', '{}'),
('northwind-care', 'u-48210077', '2026-08-01 06:30:00+02', 'calm',
 'Night shift over. Toast, tea, bed.', '{work}'),
('northwind-care', 'u-48210078', '2026-08-15 13:00:00+02', 'happy',
 'The lake was warm enough at last.', '{summer}');

INSERT INTO journal_analysis (entry_id, made_at, model, prompt_version, emotions, summary)
SELECT id, written_at + interval '5 minutes', 'mood-reader-2', 7,
       jsonb_build_object('strongest', coalesce(mood, 'unclear'), 'confidence', 0.5 + id * 0.01),
       CASE WHEN mood IS NOT NULL THEN 'The entry reads as ' || mood || '.' END
FROM journal_entry
ORDER BY id;
