BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE allocation_exceptions (
	exception_id INTEGER NOT NULL, 
	block_id TEXT NOT NULL, 
	order_id TEXT NOT NULL, 
	quantity TEXT, 
	actor TEXT NOT NULL, 
	note TEXT NOT NULL, 
	decided_at DATETIME NOT NULL, 
	PRIMARY KEY (exception_id), 
	CONSTRAINT allocation_exceptions_has_note CHECK (note <> ''), 
	CONSTRAINT allocation_exceptions_order FOREIGN KEY(order_id) REFERENCES export_orders (order_id), 
	CONSTRAINT allocation_exceptions_user FOREIGN KEY(actor) REFERENCES users (name)
);
CREATE TABLE amended_lots (
	proposal_id TEXT NOT NULL, 
	order_id TEXT NOT NULL, 
	account_id TEXT, 
	security_id TEXT, 
	lot_id TEXT NOT NULL, 
	quantity TEXT, 
	unit_cost_usd TEXT, 
	acquired_date DATE, 
	term TEXT, 
	gain_usd TEXT, 
	PRIMARY KEY (proposal_id, order_id, lot_id), 
	CONSTRAINT amended_lots_proposal FOREIGN KEY(proposal_id) REFERENCES proposals (proposal_id)
);
CREATE TABLE amended_orders (
	order_id TEXT NOT NULL, 
	proposal_id TEXT NOT NULL, 
	account_id TEXT, 
	side TEXT, 
	security_id TEXT, 
	symbol TEXT, 
	quantity TEXT, 
	price_usd TEXT, 
	value_usd TEXT, 
	est_cost_usd TEXT, 
	est_tax_usd TEXT, 
	reason TEXT, 
	marginal_benefit_bps FLOAT, 
	marginal_cost_bps FLOAT, 
	PRIMARY KEY (order_id, proposal_id), 
	CONSTRAINT amended_orders_proposal FOREIGN KEY(proposal_id) REFERENCES proposals (proposal_id)
);
CREATE TABLE amended_proposals (
	proposal_id TEXT NOT NULL, 
	account_id TEXT, 
	triggers TEXT, 
	nav_usd TEXT, 
	one_way_drift_before FLOAT, 
	one_way_drift_after FLOAT, 
	turnover FLOAT, 
	est_cost_usd TEXT, 
	est_tax_usd TEXT, 
	realized_short_gain_usd TEXT, 
	realized_long_gain_usd TEXT, 
	objective_usd FLOAT, 
	lower_bound_usd FLOAT, 
	gap_bps FLOAT, 
	shadow_price FLOAT, 
	tax_regime TEXT, 
	marginal_short_rate FLOAT, 
	marginal_long_rate FLOAT, 
	cash_before_usd TEXT, 
	cash_after_usd TEXT, 
	order_count BIGINT, 
	gross_value_usd TEXT, 
	route TEXT, 
	route_reasons TEXT, 
	look_reasons TEXT, 
	priority BIGINT, 
	content_hash TEXT, 
	custodian TEXT, 
	model_hash TEXT, 
	approvals_needed BIGINT, 
	ttl_hours FLOAT, 
	PRIMARY KEY (proposal_id), 
	CONSTRAINT amended_proposals_proposal FOREIGN KEY(proposal_id) REFERENCES proposals (proposal_id)
);
CREATE TABLE audit (
	seq BIGINT NOT NULL, 
	at DATETIME NOT NULL, 
	actor TEXT NOT NULL, 
	run_id TEXT, 
	proposal_id TEXT, 
	event TEXT NOT NULL, 
	from_state TEXT, 
	to_state TEXT, 
	detail TEXT NOT NULL, 
	previous_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT audit_hash UNIQUE (hash)
);
INSERT INTO "audit" VALUES(1,'2026-07-01 22:00:00.000000','ann',NULL,NULL,'user_added',NULL,NULL,'{"roles":["admin"],"user":"ann"}','0000000000000000000000000000000000000000000000000000000000000000','0d87bd893db746b12a691ad66a9c8550e16d4ce56bc4abf1431973a5f4c496dd');
INSERT INTO "audit" VALUES(2,'2026-07-01 22:00:00.000000','ann',NULL,NULL,'user_added',NULL,NULL,'{"roles":["reviewer"],"user":"bob"}','0d87bd893db746b12a691ad66a9c8550e16d4ce56bc4abf1431973a5f4c496dd','31940e88ee1fa49c5f1581168368db9ffbf128ee6e3e30774e18b91138e1fb7e');
INSERT INTO "audit" VALUES(3,'2026-07-01 22:00:00.000000','ann',NULL,NULL,'user_added',NULL,NULL,'{"roles":["reviewer"],"user":"cat"}','31940e88ee1fa49c5f1581168368db9ffbf128ee6e3e30774e18b91138e1fb7e','871263b72da129fa715796429e9845fbf5a318b314c5148de79e1aa0051da294');
INSERT INTO "audit" VALUES(4,'2026-07-01 22:00:00.000000','ann',NULL,NULL,'user_added',NULL,NULL,'{"roles":["releaser"],"user":"rex"}','871263b72da129fa715796429e9845fbf5a318b314c5148de79e1aa0051da294','87f60893637ee23087d2880045e672961cdc1561e95f191f4c4d4d27a1066b11');
INSERT INTO "audit" VALUES(5,'2026-07-01 22:00:00.000000','ann',NULL,NULL,'user_added',NULL,NULL,'{"roles":["viewer"],"user":"vic"}','87f60893637ee23087d2880045e672961cdc1561e95f191f4c4d4d27a1066b11','ef3a70caf949e8d6bf4c0fc414311d7230f9d41fd9ed9af850249fd6bff43bc0');
INSERT INTO "audit" VALUES(6,'2026-07-01 22:00:00.000000','prefect','r1',NULL,'run_started',NULL,'running','{}','ef3a70caf949e8d6bf4c0fc414311d7230f9d41fd9ed9af850249fd6bff43bc0','5286cf816d90b47b2aff2e4f8a4ce4aa22aa233d709601860b2ad8ee62c6a825');
INSERT INTO "audit" VALUES(7,'2026-07-01 22:00:00.000000','prefect','r1','r1.a1','routed','proposed','pending_review','{"content_hash":"as-proposed"}','5286cf816d90b47b2aff2e4f8a4ce4aa22aa233d709601860b2ad8ee62c6a825','50b3269dfcd058c047b1ecb36bbad8b4e4c27fa15a9574e7774d687d43c0d4c4');
INSERT INTO "audit" VALUES(8,'2026-07-01 22:00:00.000000','prefect','r1','r1.a2','routed','proposed','pending_review','{"content_hash":"as-proposed"}','50b3269dfcd058c047b1ecb36bbad8b4e4c27fa15a9574e7774d687d43c0d4c4','5621b260d70d8f6d8152edbc5fa48ff91990b3a068ab3d5faa5e02bc54dfcf26');
INSERT INTO "audit" VALUES(9,'2026-07-01 22:00:00.000000','prefect','r1','r1.a3','routed','proposed','pending_review','{"content_hash":"as-proposed"}','5621b260d70d8f6d8152edbc5fa48ff91990b3a068ab3d5faa5e02bc54dfcf26','e4b0585026a6c385ac3efc3f80d5ab11ac5a5faf9c4770272442c1ff053d185e');
INSERT INTO "audit" VALUES(10,'2026-07-01 22:00:00.000000','prefect','r1',NULL,'accounts_routed',NULL,NULL,'{"accounts":3,"accounts_hash":"b59e1adb6e1078451a8ab5ef4ef5a9a27b06329e6c86548c5b802f5de85fbfe0","new":3,"superseded":0}','e4b0585026a6c385ac3efc3f80d5ab11ac5a5faf9c4770272442c1ff053d185e','6b6866ea4b4af0ebc061ade991683628916fc120e93507d7393881d84030a246');
INSERT INTO "audit" VALUES(11,'2026-07-01 22:00:00.000000','bob','r1','r1.a2','approve','pending_review','approved','{"content_hash":"as-proposed","note":""}','6b6866ea4b4af0ebc061ade991683628916fc120e93507d7393881d84030a246','9619f4be1a81a416adbaf21882f970cacba459dce340d97b3a2d09828e74c759');
INSERT INTO "audit" VALUES(12,'2026-07-01 22:00:00.000000','bob','r1','r1.a3','approve','pending_review','approved','{"content_hash":"as-proposed","note":""}','9619f4be1a81a416adbaf21882f970cacba459dce340d97b3a2d09828e74c759','c0eee7298397db38c525131fd24fb0f5cb88623ff41e84e4ca5b15b981268c09');
INSERT INTO "audit" VALUES(13,'2026-07-01 22:00:00.000000','prefect','r1',NULL,'run_done','running','done','{}','c0eee7298397db38c525131fd24fb0f5cb88623ff41e84e4ca5b15b981268c09','df2d631d8c4d6a361e29b963624e8f639f5a9de010a950c8b836363195d814f5');
INSERT INTO "audit" VALUES(14,'2026-07-01 22:00:00.000000','rex','r1',NULL,'export_claimed',NULL,NULL,'{"export_id":"r1-export-1","folder":"exports","orders":2,"proposals":1}','df2d631d8c4d6a361e29b963624e8f639f5a9de010a950c8b836363195d814f5','6a369900b07e6f67f15df09ea566cdb2672c85c5183297fa866d2b50cf6e7e5b');
CREATE TABLE audit_head (
	one INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (one), 
	CONSTRAINT audit_head_one_row CHECK (one = 1)
);
INSERT INTO "audit_head" VALUES(1,14,'6a369900b07e6f67f15df09ea566cdb2672c85c5183297fa866d2b50cf6e7e5b');
CREATE TABLE breaches (
	breach_id INTEGER NOT NULL, 
	account_id TEXT NOT NULL, 
	scope_id TEXT NOT NULL, 
	causes TEXT NOT NULL, 
	model_hash TEXT NOT NULL, 
	breached_at DATETIME NOT NULL, 
	cleared_at DATETIME, 
	PRIMARY KEY (breach_id), 
	CONSTRAINT breaches_has_cause CHECK (causes <> ''), 
	CONSTRAINT breaches_scope FOREIGN KEY(scope_id) REFERENCES scopes (scope_id)
);
CREATE TABLE decisions (
	decision_id INTEGER NOT NULL, 
	proposal_id TEXT NOT NULL, 
	content_hash TEXT NOT NULL, 
	submitter TEXT NOT NULL, 
	amender TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	decision TEXT NOT NULL, 
	note TEXT NOT NULL, 
	decided_at DATETIME NOT NULL, 
	PRIMARY KEY (decision_id), 
	CONSTRAINT decisions_content FOREIGN KEY(proposal_id, content_hash, submitter, amender) REFERENCES proposals (proposal_id, content_hash, submitter, amender), 
	CONSTRAINT decisions_decision CHECK (decision IN ('approve', 'reject', 'hold', 'unhold', 'withdraw', 'comment')), 
	CONSTRAINT decisions_checker_is_not_maker CHECK (actor <> submitter AND actor <> amender OR decision <> 'approve'), 
	CONSTRAINT decisions_has_note CHECK (note <> '' OR NOT (decision IN ('reject', 'comment'))), 
	CONSTRAINT decisions_user FOREIGN KEY(actor) REFERENCES users (name)
);
INSERT INTO "decisions" VALUES(1,'r1.a2','as-proposed','prefect','','bob','approve','','2026-07-01 22:00:00.000000');
INSERT INTO "decisions" VALUES(2,'r1.a3','as-proposed','prefect','','bob','approve','','2026-07-01 22:00:00.000000');
CREATE TABLE deliveries (
	export_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	url TEXT NOT NULL, 
	state TEXT NOT NULL, 
	file_count BIGINT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	manifest_sha256 TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	sent_count BIGINT NOT NULL, 
	problem TEXT, 
	started_at DATETIME NOT NULL, 
	delivered_at DATETIME, 
	PRIMARY KEY (export_id, name), 
	CONSTRAINT deliveries_state CHECK (state IN ('sending', 'delivered')), 
	CONSTRAINT deliveries_delivered_at CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)), 
	CONSTRAINT deliveries_export FOREIGN KEY(export_id) REFERENCES exports (export_id)
);
CREATE TABLE execution_files (
	reading_id INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	source TEXT NOT NULL, 
	received_at DATETIME NOT NULL, 
	name TEXT NOT NULL, 
	format TEXT NOT NULL, 
	row_count BIGINT NOT NULL, 
	taken_count BIGINT NOT NULL, 
	aside_count BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	PRIMARY KEY (reading_id), 
	CONSTRAINT execution_files_user FOREIGN KEY(actor) REFERENCES users (name)
);
CREATE TABLE execution_lots (
	source TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	lot_id TEXT, 
	acquired_date DATE, 
	quantity TEXT NOT NULL, 
	unit_cost_usd TEXT, 
	PRIMARY KEY (source, execution_id, number), 
	CONSTRAINT execution_lots_execution FOREIGN KEY(source, execution_id) REFERENCES executions (source, execution_id)
);
CREATE TABLE executions (
	source TEXT NOT NULL, 
	execution_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	order_id TEXT, 
	block_id TEXT, 
	client_order_id TEXT, 
	account_id TEXT, 
	symbol TEXT, 
	security_id TEXT, 
	side TEXT, 
	quantity TEXT, 
	price_usd TEXT, 
	fees_usd TEXT, 
	trade_date DATE, 
	executed_at DATETIME, 
	reference_id TEXT, 
	text TEXT, 
	file_sha256 TEXT NOT NULL, 
	row_number BIGINT NOT NULL, 
	received_at DATETIME NOT NULL, 
	PRIMARY KEY (source, execution_id), 
	CONSTRAINT executions_kind CHECK (kind IN ('acknowledged', 'rejected', 'cancelled', 'fill', 'bust', 'correct')), 
	CONSTRAINT executions_order_or_block CHECK ((order_id IS NULL) <> (block_id IS NULL)), 
	CONSTRAINT executions_fill_has_price CHECK (kind NOT IN ('fill', 'correct') OR quantity IS NOT NULL AND price_usd IS NOT NULL), 
	CONSTRAINT executions_change_has_reference CHECK (kind NOT IN ('bust', 'correct') OR reference_id IS NOT NULL), 
	CONSTRAINT executions_order FOREIGN KEY(order_id) REFERENCES export_orders (order_id)
);
CREATE TABLE executions_aside (
	source TEXT NOT NULL, 
	file_sha256 TEXT NOT NULL, 
	row_number BIGINT NOT NULL, 
	execution_id TEXT, 
	client_order_id TEXT, 
	code TEXT NOT NULL, 
	message TEXT NOT NULL, 
	raw TEXT NOT NULL, 
	quantity TEXT, 
	price_usd TEXT, 
	received_at DATETIME NOT NULL, 
	PRIMARY KEY (source, file_sha256, row_number), 
	CONSTRAINT executions_aside_code CHECK (code IN ('overfilled', 'wrong_side', 'wrong_security', 'wrong_account', 'conflicting', 'exception_void', 'unknown_order', 'unknown_fill', 'rejected', 'cancelled', 'not_filled', 'not_acknowledged', 'duplicate', 'unread'))
);
CREATE TABLE export_orders (
	order_id TEXT NOT NULL, 
	export_id TEXT NOT NULL, 
	proposal_id TEXT NOT NULL, 
	block_id TEXT, 
	account_id TEXT, 
	custodian TEXT, 
	side TEXT, 
	security_id TEXT, 
	symbol TEXT, 
	quantity TEXT, 
	quantity_step TEXT, 
	price_usd TEXT, 
	PRIMARY KEY (order_id), 
	CONSTRAINT export_orders_export FOREIGN KEY(export_id) REFERENCES exports (export_id), 
	CONSTRAINT export_orders_proposal FOREIGN KEY(proposal_id) REFERENCES proposals (proposal_id)
);
INSERT INTO "export_orders" VALUES('r1.a3#1','r1-export-1','r1.a3',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "export_orders" VALUES('r1.a3#2','r1-export-1','r1.a3',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE exports (
	export_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	folder TEXT NOT NULL, 
	manifest_sha256 TEXT, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	"plan" TEXT, 
	abandoned_by TEXT, 
	abandon_note TEXT, 
	PRIMARY KEY (export_id), 
	CONSTRAINT exports_sequence UNIQUE (run_id, sequence), 
	CONSTRAINT exports_state CHECK (state IN ('writing', 'published', 'abandoned')), 
	CONSTRAINT exports_published_has_manifest CHECK (state <> 'published' OR manifest_sha256 IS NOT NULL), 
	CONSTRAINT exports_abandoned_by_somebody CHECK (state = 'abandoned' AND manifest_sha256 IS NULL AND finished_at IS NOT NULL AND abandoned_by IS NOT NULL AND abandon_note IS NOT NULL AND abandon_note <> '' OR state <> 'abandoned' AND abandoned_by IS NULL AND abandon_note IS NULL), 
	CONSTRAINT exports_run FOREIGN KEY(run_id) REFERENCES runs (run_id), 
	CONSTRAINT exports_abandoner FOREIGN KEY(abandoned_by) REFERENCES users (name)
);
INSERT INTO "exports" VALUES('r1-export-1','r1',1,'writing','rex','exports',NULL,'2026-07-01 22:00:00.000000',NULL,NULL,NULL,NULL);
CREATE TABLE halts (
	halt_id INTEGER NOT NULL, 
	actor TEXT NOT NULL, 
	note TEXT NOT NULL, 
	halted_at DATETIME NOT NULL, 
	lifted_by TEXT, 
	lift_note TEXT, 
	lifted_at DATETIME, 
	PRIMARY KEY (halt_id), 
	CONSTRAINT halts_has_note CHECK (note <> ''), 
	CONSTRAINT halts_lifted_by_somebody CHECK (lifted_at IS NULL AND lifted_by IS NULL AND lift_note IS NULL OR lifted_at IS NOT NULL AND lifted_by IS NOT NULL AND lift_note IS NOT NULL AND lift_note <> ''), 
	CONSTRAINT halts_user FOREIGN KEY(actor) REFERENCES users (name), 
	CONSTRAINT halts_lifter FOREIGN KEY(lifted_by) REFERENCES users (name)
);
CREATE TABLE inputs (
	run_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	name TEXT NOT NULL, 
	table_name TEXT NOT NULL, 
	first_row BIGINT NOT NULL, 
	row_count BIGINT NOT NULL, 
	last_row BIGINT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	sha256 TEXT NOT NULL, 
	modified_at DATETIME, 
	sequence BIGINT, 
	reader TEXT NOT NULL, 
	state TEXT NOT NULL, 
	note TEXT, 
	taken_at DATETIME NOT NULL, 
	PRIMARY KEY (run_id, number), 
	CONSTRAINT inputs_state CHECK (state IN ('read', 'copied', 'refused', 'awaited')), 
	CONSTRAINT inputs_missing_has_note CHECK (state IN ('read', 'copied') OR note IS NOT NULL), 
	CONSTRAINT inputs_run FOREIGN KEY(run_id) REFERENCES runs (run_id)
);
CREATE TABLE order_breaks (
	order_id TEXT NOT NULL, 
	code TEXT NOT NULL, 
	account_id TEXT, 
	ordered_quantity TEXT NOT NULL, 
	filled_quantity TEXT NOT NULL, 
	amount_usd TEXT NOT NULL, 
	since_at DATETIME NOT NULL, 
	PRIMARY KEY (order_id, code), 
	CONSTRAINT order_breaks_code CHECK (code IN ('overfilled', 'wrong_side', 'wrong_security', 'wrong_account', 'conflicting', 'exception_void', 'unknown_order', 'unknown_fill', 'rejected', 'cancelled', 'not_filled', 'not_acknowledged', 'duplicate', 'unread'))
);
CREATE TABLE order_states (
	order_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	is_closed BOOLEAN NOT NULL, 
	filled_quantity TEXT NOT NULL, 
	average_price_usd TEXT, 
	gross_usd TEXT NOT NULL, 
	fees_usd TEXT NOT NULL, 
	first_trade_date DATE, 
	last_trade_date DATE, 
	changed_at DATETIME NOT NULL, 
	PRIMARY KEY (order_id), 
	CONSTRAINT order_states_state CHECK (state IN ('exported', 'acknowledged', 'partly_filled', 'filled', 'failed')), 
	CONSTRAINT order_states_order FOREIGN KEY(order_id) REFERENCES export_orders (order_id)
);
CREATE TABLE proposals (
	proposal_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	submitter TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	custodian TEXT NOT NULL, 
	as_of_date DATE NOT NULL, 
	state TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	amender TEXT NOT NULL, 
	replaces TEXT, 
	revision INTEGER NOT NULL, 
	content_hash TEXT NOT NULL, 
	triggers TEXT NOT NULL, 
	route TEXT NOT NULL, 
	route_reasons TEXT NOT NULL, 
	look_reasons TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	nav_usd TEXT NOT NULL, 
	gross_value_usd TEXT NOT NULL, 
	turnover FLOAT NOT NULL, 
	one_way_drift_before FLOAT, 
	one_way_drift_after FLOAT, 
	gap_bps FLOAT, 
	est_tax_usd TEXT NOT NULL, 
	est_cost_usd TEXT NOT NULL, 
	order_count INTEGER NOT NULL, 
	model_hash TEXT NOT NULL, 
	approvals_needed INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	cut_off_at DATETIME, 
	state_changed_at DATETIME NOT NULL, 
	held_by TEXT, 
	assignee TEXT, 
	export_id TEXT, 
	PRIMARY KEY (proposal_id), 
	CONSTRAINT proposals_run FOREIGN KEY(run_id, submitter) REFERENCES runs (run_id, submitter), 
	CONSTRAINT proposals_account UNIQUE (run_id, account_id, version), 
	CONSTRAINT proposals_content UNIQUE (proposal_id, content_hash, submitter, amender), 
	CONSTRAINT proposals_state CHECK (state IN ('proposed', 'pending_review', 'auto_approved', 'approved', 'rejected', 'expired', 'superseded', 'withdrawn', 'exported', 'acknowledged', 'filled', 'partly_filled', 'failed')), 
	CONSTRAINT proposals_route CHECK (route IN ('review', 'auto')), 
	CONSTRAINT proposals_approvals CHECK (approvals_needed IN (1, 2)), 
	CONSTRAINT proposals_amended_by_somebody CHECK (version = 1 AND amender = '' AND replaces IS NULL OR version > 1 AND amender <> '' AND replaces IS NOT NULL), 
	CONSTRAINT proposals_claimed_state CHECK (export_id IS NULL OR state IN ('approved', 'auto_approved', 'exported', 'acknowledged', 'filled', 'partly_filled', 'failed')), 
	CONSTRAINT proposals_sent_in_export CHECK (export_id IS NOT NULL OR NOT (state IN ('exported', 'acknowledged', 'filled', 'partly_filled', 'failed'))), 
	CONSTRAINT proposals_replaced FOREIGN KEY(replaces) REFERENCES proposals (proposal_id), 
	CONSTRAINT proposals_holder FOREIGN KEY(held_by) REFERENCES users (name), 
	CONSTRAINT proposals_assignee FOREIGN KEY(assignee) REFERENCES users (name), 
	CONSTRAINT proposals_export FOREIGN KEY(export_id) REFERENCES exports (export_id)
);
INSERT INTO "proposals" VALUES('r1.a1','r1','prefect','a1','northbank','2026-07-01','pending_review',1,'',NULL,1,'as-proposed','drift','review','always_a_person','',10,'250000.000000','12345.670000',0.05,0.06,0.01,0.01,'10.500000','1.250000',2,'growth',1,'2026-07-01 22:00:00.000000','2026-07-02 18:00:00.000000',NULL,'2026-07-01 22:00:00.000000',NULL,NULL,NULL);
INSERT INTO "proposals" VALUES('r1.a2','r1','prefect','a2','northbank','2026-07-01','approved',1,'',NULL,2,'as-proposed','drift','review','always_a_person','',10,'250000.000000','12345.670000',0.05,0.06,0.01,0.01,'10.500000','1.250000',2,'growth',1,'2026-07-01 22:00:00.000000','2026-07-02 18:00:00.000000',NULL,'2026-07-01 22:00:00.000000',NULL,NULL,NULL);
INSERT INTO "proposals" VALUES('r1.a3','r1','prefect','a3','northbank','2026-07-01','approved',1,'',NULL,2,'as-proposed','drift','review','always_a_person','',10,'250000.000000','12345.670000',0.05,0.06,0.01,0.01,'10.500000','1.250000',2,'growth',1,'2026-07-01 22:00:00.000000','2026-07-02 18:00:00.000000',NULL,'2026-07-01 22:00:00.000000',NULL,NULL,'r1-export-1');
CREATE TABLE row_releases (
	as_of_date DATE NOT NULL, 
	quarantine_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	table_name TEXT NOT NULL, 
	broken_rules TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	note TEXT NOT NULL, 
	released_at DATETIME NOT NULL, 
	PRIMARY KEY (as_of_date, quarantine_id), 
	CONSTRAINT row_releases_has_note CHECK (note <> ''), 
	CONSTRAINT row_releases_run FOREIGN KEY(run_id) REFERENCES runs (run_id), 
	CONSTRAINT row_releases_user FOREIGN KEY(actor) REFERENCES users (name)
);
CREATE TABLE runs (
	run_id TEXT NOT NULL, 
	as_of_date DATE NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	submitter TEXT NOT NULL, 
	input_hash TEXT NOT NULL, 
	code_version TEXT NOT NULL, 
	source TEXT NOT NULL, 
	scope TEXT, 
	shard_count INTEGER NOT NULL, 
	accounts_pulled BIGINT NOT NULL, 
	counts TEXT, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	held_reason TEXT, 
	released_by TEXT, 
	release_note TEXT, 
	held_guards TEXT, 
	base_run_id TEXT, 
	PRIMARY KEY (run_id), 
	CONSTRAINT runs_submitter UNIQUE (run_id, submitter), 
	CONSTRAINT runs_kind CHECK (kind IN ('nightly', 'threshold', 'manual', 'replay')), 
	CONSTRAINT runs_state CHECK (state IN ('running', 'held', 'done', 'failed')), 
	CONSTRAINT runs_held_has_reason CHECK (state <> 'held' OR held_reason IS NOT NULL)
);
INSERT INTO "runs" VALUES('r1','2026-07-01','nightly','done','prefect','feed','0.1.0','landing',NULL,0,0,'{}','2026-07-01 22:00:00.000000','2026-07-01 22:00:00.000000',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE saved_filters (
	owner TEXT NOT NULL, 
	name TEXT NOT NULL, 
	filter TEXT NOT NULL, 
	saved_at DATETIME NOT NULL, 
	PRIMARY KEY (owner, name), 
	CONSTRAINT saved_filters_named CHECK (name <> ''), 
	CONSTRAINT saved_filters_owner FOREIGN KEY(owner) REFERENCES users (name)
);
CREATE TABLE scopes (
	scope_id TEXT NOT NULL, 
	as_of_date DATE NOT NULL, 
	cause TEXT NOT NULL, 
	account_count BIGINT NOT NULL, 
	night_run_id TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	announced_at DATETIME, 
	run_id TEXT, 
	PRIMARY KEY (scope_id), 
	CONSTRAINT scopes_has_cause CHECK (cause <> ''), 
	CONSTRAINT scopes_names_accounts CHECK ((cause = 'late_file') = (account_count = 0)), 
	CONSTRAINT scopes_night FOREIGN KEY(night_run_id) REFERENCES runs (run_id), 
	CONSTRAINT scopes_run FOREIGN KEY(run_id) REFERENCES runs (run_id)
);
CREATE TABLE sessions (
	session_hash TEXT NOT NULL, 
	name TEXT NOT NULL, 
	method TEXT NOT NULL, 
	signed_in_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (session_hash), 
	CONSTRAINT sessions_method CHECK (method IN ('password', 'oidc')), 
	CONSTRAINT sessions_user FOREIGN KEY(name) REFERENCES users (name)
);
CREATE TABLE sign_in_failures (
	key_hash TEXT NOT NULL, 
	failures INTEGER NOT NULL, 
	first_at DATETIME NOT NULL, 
	last_at DATETIME NOT NULL, 
	PRIMARY KEY (key_hash)
);
CREATE TABLE steps (
	run_id TEXT NOT NULL, 
	step TEXT NOT NULL, 
	shard INTEGER NOT NULL, 
	rows BIGINT NOT NULL, 
	seconds FLOAT NOT NULL, 
	finished_at DATETIME NOT NULL, 
	PRIMARY KEY (run_id, step, shard), 
	CONSTRAINT steps_step CHECK (step IN ('pull', 'validate', 'measure', 'propose', 'route', 'publish')), 
	CONSTRAINT steps_run FOREIGN KEY(run_id) REFERENCES runs (run_id)
);
CREATE TABLE tokens (
	token_id TEXT NOT NULL, 
	token_hash TEXT NOT NULL, 
	label TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	custodians TEXT, 
	created_by TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	PRIMARY KEY (token_id), 
	CONSTRAINT tokens_hash UNIQUE (token_hash), 
	CONSTRAINT tokens_has_scope CHECK (scopes <> ''), 
	CONSTRAINT tokens_owner FOREIGN KEY(owner) REFERENCES users (name), 
	CONSTRAINT tokens_maker FOREIGN KEY(created_by) REFERENCES users (name)
);
CREATE TABLE user_roles (
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	PRIMARY KEY (name, role), 
	CONSTRAINT user_roles_role CHECK (role IN ('viewer', 'reviewer', 'releaser', 'admin')), 
	CONSTRAINT user_roles_user FOREIGN KEY(name) REFERENCES users (name)
);
INSERT INTO "user_roles" VALUES('ann','admin');
INSERT INTO "user_roles" VALUES('bob','reviewer');
INSERT INTO "user_roles" VALUES('cat','reviewer');
INSERT INTO "user_roles" VALUES('rex','releaser');
INSERT INTO "user_roles" VALUES('vic','viewer');
CREATE TABLE users (
	name TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	password_hash TEXT, 
	subject TEXT, 
	PRIMARY KEY (name), 
	CONSTRAINT users_name_given CHECK (name <> '')
);
INSERT INTO "users" VALUES('ann','2026-07-01 22:00:00.000000',NULL,NULL);
INSERT INTO "users" VALUES('bob','2026-07-01 22:00:00.000000',NULL,NULL);
INSERT INTO "users" VALUES('cat','2026-07-01 22:00:00.000000',NULL,NULL);
INSERT INTO "users" VALUES('rex','2026-07-01 22:00:00.000000',NULL,NULL);
INSERT INTO "users" VALUES('vic','2026-07-01 22:00:00.000000',NULL,NULL);
CREATE UNIQUE INDEX users_subject ON users (subject);
CREATE INDEX audit_by_proposal ON audit (proposal_id);
CREATE INDEX audit_by_run ON audit (run_id, event);
CREATE INDEX inputs_by_source ON inputs (source, reader);
CREATE UNIQUE INDEX exports_one_writing ON exports (run_id) WHERE state = 'writing';
CREATE UNIQUE INDEX halts_one_in_force ON halts ((lifted_at IS NULL)) WHERE lifted_at IS NULL;
CREATE INDEX sessions_by_user ON sessions (name);
CREATE INDEX proposals_queue ON proposals (state, priority DESC, proposal_id);
CREATE INDEX proposals_by_export ON proposals (export_id);
CREATE INDEX proposals_by_run ON proposals (run_id);
CREATE UNIQUE INDEX proposals_one_open ON proposals (account_id) WHERE state IN ('pending_review', 'approved', 'auto_approved');
CREATE UNIQUE INDEX breaches_one_lasting ON breaches (account_id) WHERE cleared_at IS NULL;
CREATE UNIQUE INDEX breaches_by_scope ON breaches (scope_id, account_id);
CREATE UNIQUE INDEX decisions_four_eyes ON decisions (proposal_id, content_hash, actor) WHERE decision = 'approve';
CREATE INDEX decisions_by_proposal ON decisions (proposal_id);
CREATE INDEX export_orders_by_block ON export_orders (block_id);
CREATE INDEX export_orders_by_export ON export_orders (export_id);
CREATE INDEX export_orders_by_proposal ON export_orders (proposal_id);
CREATE INDEX executions_by_block ON executions (block_id);
CREATE INDEX executions_by_order ON executions (order_id);
CREATE INDEX executions_by_reference ON executions (source, reference_id) WHERE reference_id IS NOT NULL;
CREATE INDEX allocation_exceptions_by_block ON allocation_exceptions (block_id);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'rows of audit are never changed or deleted'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'rows of audit are never changed or deleted'); END;
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'rows of decisions are never changed or deleted'); END;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'rows of decisions are never changed or deleted'); END;
CREATE TRIGGER export_orders_no_update BEFORE UPDATE ON export_orders BEGIN SELECT RAISE(ABORT, 'rows of export_orders are never changed or deleted'); END;
CREATE TRIGGER export_orders_no_delete BEFORE DELETE ON export_orders BEGIN SELECT RAISE(ABORT, 'rows of export_orders are never changed or deleted'); END;
CREATE TRIGGER row_releases_no_update BEFORE UPDATE ON row_releases BEGIN SELECT RAISE(ABORT, 'rows of row_releases are never changed or deleted'); END;
CREATE TRIGGER row_releases_no_delete BEFORE DELETE ON row_releases BEGIN SELECT RAISE(ABORT, 'rows of row_releases are never changed or deleted'); END;
CREATE TRIGGER amended_proposals_no_update BEFORE UPDATE ON amended_proposals BEGIN SELECT RAISE(ABORT, 'rows of amended_proposals are never changed or deleted'); END;
CREATE TRIGGER amended_proposals_no_delete BEFORE DELETE ON amended_proposals BEGIN SELECT RAISE(ABORT, 'rows of amended_proposals are never changed or deleted'); END;
CREATE TRIGGER amended_orders_no_update BEFORE UPDATE ON amended_orders BEGIN SELECT RAISE(ABORT, 'rows of amended_orders are never changed or deleted'); END;
CREATE TRIGGER amended_orders_no_delete BEFORE DELETE ON amended_orders BEGIN SELECT RAISE(ABORT, 'rows of amended_orders are never changed or deleted'); END;
CREATE TRIGGER amended_lots_no_update BEFORE UPDATE ON amended_lots BEGIN SELECT RAISE(ABORT, 'rows of amended_lots are never changed or deleted'); END;
CREATE TRIGGER amended_lots_no_delete BEFORE DELETE ON amended_lots BEGIN SELECT RAISE(ABORT, 'rows of amended_lots are never changed or deleted'); END;
CREATE TRIGGER executions_no_update BEFORE UPDATE ON executions BEGIN SELECT RAISE(ABORT, 'rows of executions are never changed or deleted'); END;
CREATE TRIGGER executions_no_delete BEFORE DELETE ON executions BEGIN SELECT RAISE(ABORT, 'rows of executions are never changed or deleted'); END;
CREATE TRIGGER execution_lots_no_update BEFORE UPDATE ON execution_lots BEGIN SELECT RAISE(ABORT, 'rows of execution_lots are never changed or deleted'); END;
CREATE TRIGGER execution_lots_no_delete BEFORE DELETE ON execution_lots BEGIN SELECT RAISE(ABORT, 'rows of execution_lots are never changed or deleted'); END;
CREATE TRIGGER execution_files_no_update BEFORE UPDATE ON execution_files BEGIN SELECT RAISE(ABORT, 'rows of execution_files are never changed or deleted'); END;
CREATE TRIGGER execution_files_no_delete BEFORE DELETE ON execution_files BEGIN SELECT RAISE(ABORT, 'rows of execution_files are never changed or deleted'); END;
CREATE TRIGGER executions_aside_no_update BEFORE UPDATE ON executions_aside BEGIN SELECT RAISE(ABORT, 'rows of executions_aside are never changed or deleted'); END;
CREATE TRIGGER executions_aside_no_delete BEFORE DELETE ON executions_aside BEGIN SELECT RAISE(ABORT, 'rows of executions_aside are never changed or deleted'); END;
CREATE TRIGGER allocation_exceptions_no_update BEFORE UPDATE ON allocation_exceptions BEGIN SELECT RAISE(ABORT, 'rows of allocation_exceptions are never changed or deleted'); END;
CREATE TRIGGER allocation_exceptions_no_delete BEFORE DELETE ON allocation_exceptions BEGIN SELECT RAISE(ABORT, 'rows of allocation_exceptions are never changed or deleted'); END;
CREATE TRIGGER exports_over BEFORE UPDATE ON exports WHEN OLD.state <> 'writing' AND NEW.state <> OLD.state BEGIN SELECT RAISE(ABORT, 'rows of exports are never changed or deleted once given up'); END;
CREATE TRIGGER exports_given_up BEFORE UPDATE ON exports WHEN OLD.state = 'abandoned' BEGIN SELECT RAISE(ABORT, 'rows of exports are never changed or deleted once given up'); END;
CREATE TRIGGER exports_no_delete BEFORE DELETE ON exports WHEN TRUE BEGIN SELECT RAISE(ABORT, 'rows of exports are never changed or deleted once given up'); END;
CREATE TRIGGER proposals_withdrawn BEFORE UPDATE ON proposals WHEN OLD.state = 'withdrawn' AND NEW.state <> OLD.state BEGIN SELECT RAISE(ABORT, 'rows of proposals are never changed or deleted once given up'); END;
CREATE TRIGGER exports_lets_go_insert BEFORE INSERT ON exports WHEN NEW.state = 'abandoned' BEGIN SELECT RAISE(ABORT, 'rows of exports are never changed or deleted once given up') WHERE EXISTS (SELECT 1 FROM proposals WHERE export_id = NEW.export_id); END;
CREATE TRIGGER exports_lets_go_update BEFORE UPDATE ON exports WHEN NEW.state = 'abandoned' BEGIN SELECT RAISE(ABORT, 'rows of exports are never changed or deleted once given up') WHERE EXISTS (SELECT 1 FROM proposals WHERE export_id = NEW.export_id); END;
CREATE TRIGGER proposals_stays_out_insert BEFORE INSERT ON proposals WHEN NEW.export_id IS NOT NULL BEGIN SELECT RAISE(ABORT, 'rows of proposals are never changed or deleted once given up') WHERE EXISTS (SELECT 1 FROM exports WHERE export_id = NEW.export_id AND state = 'abandoned'); END;
CREATE TRIGGER proposals_stays_out_update BEFORE UPDATE ON proposals WHEN NEW.export_id IS NOT NULL BEGIN SELECT RAISE(ABORT, 'rows of proposals are never changed or deleted once given up') WHERE EXISTS (SELECT 1 FROM exports WHERE export_id = NEW.export_id AND state = 'abandoned'); END;
COMMIT;
