-- The billing product's database: what was charged, what was paid, and what coaches received.
CREATE TABLE invoice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    customer_id text NOT NULL,
    number text NOT NULL UNIQUE,
    issued_on date NOT NULL,
    billed_to text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    currency text NOT NULL,
    memo text,
    ledger_batch integer NOT NULL
);
CREATE INDEX invoice_owner ON invoice (tenant, customer_id, id);

CREATE TABLE payment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id bigint NOT NULL REFERENCES invoice (id),
    paid_on date NOT NULL,
    amount numeric(12, 2) NOT NULL,
    method text NOT NULL,
    payer_note text NOT NULL DEFAULT ''
);
CREATE INDEX payment_invoice ON payment (invoice_id, id);

CREATE TABLE payout (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    coach_id text NOT NULL,
    paid_out_on date NOT NULL,
    amount numeric(12, 2) NOT NULL,
    currency text NOT NULL,
    statement text NOT NULL
);
CREATE INDEX payout_owner ON payout (tenant, coach_id, id);

INSERT INTO invoice
    (tenant, customer_id, number, issued_on, billed_to, amount, currency, memo, ledger_batch)
VALUES
('acme-wellbeing', 'c-90035512', 'AW-2024-0117', '2024-03-31', 'Ada Quill, 4 Pier Road', 120.00,
 'EUR', 'Three sessions; asked for the early hour because of the new job.', 24),
('acme-wellbeing', 'c-90035512', 'AW-2025-0408', '2025-06-30', 'Ada Quill, 4 Pier Road', 80.50,
 'EUR', NULL, 25),
('acme-wellbeing', 'c-90035512', 'AW-2026-0052', '2026-09-30', 'Ada Quill, 4 Pier Road', 40.00,
 'EUR', 'First session with the new coach.', 26),
('acme-wellbeing', 'c-90035513', 'AW-2026-0011', '2026-02-28', 'Bruno Vale, 9 Mill Lane', 40.00,
 'EUR', 'Cancelled late, charged in full.', 26),
('northwind-care', 'c-90035512', 'NC-2026-0003', '2026-07-31', 'Ada Quill, 4 Pier Road', 65.00,
 'EUR', 'Night rate.', 3),
('northwind-care', 'c-90035513', 'NC-2026-0004', '2026-08-31', 'Edda Frost, 1 Lakeside', 65.00,
 'EUR', NULL, 3);

INSERT INTO payment (invoice_id, paid_on, amount, method, payer_note)
SELECT id, issued_on + 9, amount, 'transfer',
       CASE WHEN memo IS NULL THEN '' ELSE 'Thank you, see you next week' END
FROM invoice
ORDER BY id;

INSERT INTO payout (tenant, coach_id, paid_out_on, amount, currency, statement) VALUES
('acme-wellbeing', 'c-90035514', '2026-03-31', 310.00, 'EUR', 'PO-2026-0007'),
('acme-wellbeing', 'c-90035514', '2026-09-30', 275.25, 'EUR', 'PO-2026-0019');
