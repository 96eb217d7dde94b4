BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	interaction_id BIGINT NOT NULL, 
	attempt BIGINT NOT NULL, 
	guild_id BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	command TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	key_variable TEXT NOT NULL, 
	sent_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	state TEXT NOT NULL, 
	usage_source TEXT NOT NULL, 
	error_class TEXT NOT NULL, 
	prompt_tokens BIGINT NOT NULL, 
	completion_tokens BIGINT NOT NULL, 
	cached_tokens BIGINT NOT NULL, 
	reasoning_tokens BIGINT NOT NULL, 
	pictures BIGINT NOT NULL, pixels BIGINT DEFAULT 0 NOT NULL, cost_micros BIGINT, price_date TEXT DEFAULT '' NOT NULL, fallback BOOLEAN DEFAULT 0 NOT NULL, delivered TEXT DEFAULT '' NOT NULL, queue_ms BIGINT, first_text_ms BIGINT, total_ms BIGINT, steps BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (id), 
	CONSTRAINT fk_attempts_interaction_id_requests FOREIGN KEY(interaction_id) REFERENCES requests (interaction_id), 
	CONSTRAINT uq_attempts_interaction_id_attempt UNIQUE (interaction_id, attempt)
);
INSERT INTO "attempts" VALUES(1,1,1,10,20,30,'ask','scripted','scripted-model','scripted-key',1795421372,1795421372,'settled','provider','',10,5,0,0,0,0,0,'',0,'',10,0,0,0);
INSERT INTO "attempts" VALUES(2,2,1,10,20,31,'ask','scripted','scripted-model','scripted-key',1795421372,1795421372,'settled','provider','',10,5,0,0,0,0,0,'',0,'',9,0,0,0);
INSERT INTO "attempts" VALUES(3,3,1,10,20,30,'ask','scripted','scripted-model','scripted-key',1795421372,1795421372,'unbilled','','content',0,0,0,0,0,0,0,'',0,'none',13,NULL,0,0);
INSERT INTO "attempts" VALUES(4,4,1,10,20,30,'ask','scripted','scripted-model','scripted-key',1795421372,1795421372,'settled','provider','',10,5,0,0,0,0,0,'',0,'',4,0,0,0);
INSERT INTO "attempts" VALUES(5,5,1,11,21,30,'ask','scripted','scripted-model','scripted-key',1795421372,1795421372,'settled','provider','',10,5,0,0,0,0,0,'',0,'',4,0,0,0);
INSERT INTO "attempts" VALUES(6,6,1,10,20,30,'imagine','scripted-images','scripted-image-model','SOME_KEY',1795421372,1795421372,'settled','provider','',0,0,0,0,1,64,0,'',0,'',4,NULL,3,0);
INSERT INTO "attempts" VALUES(7,9,1,10,20,30,'ask','some-vendor','some-model','SOME_KEY',1795421372,NULL,'sent','','',60,40,0,0,0,0,NULL,'',0,'',NULL,NULL,NULL,0);
CREATE TABLE budget_notices (
	budget TEXT NOT NULL, 
	since BIGINT NOT NULL, 
	percent BIGINT NOT NULL, 
	CONSTRAINT pk_budget_notices PRIMARY KEY (budget, since)
);
CREATE TABLE budgets (
	id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	scope TEXT NOT NULL, 
	scope_id BIGINT NOT NULL, 
	unit TEXT NOT NULL, 
	period TEXT NOT NULL, 
	amount BIGINT NOT NULL, 
	set_by BIGINT NOT NULL, 
	set_at BIGINT NOT NULL, 
	warn_channel_id BIGINT NOT NULL, 
	CONSTRAINT pk_budgets PRIMARY KEY (id), 
	CONSTRAINT uq_budgets_guild_id_scope_scope_id_unit_period UNIQUE (guild_id, scope, scope_id, unit, period)
);
INSERT INTO "budgets" VALUES(1,10,'member',0,'tokens','day',50000,30,1795421372,0);
CREATE TABLE guild_settings (
	guild_id BIGINT NOT NULL, 
	time_zone TEXT NOT NULL, weekly_channel_id BIGINT DEFAULT 0 NOT NULL, weekly_by TEXT DEFAULT '' NOT NULL, weekly_posted TEXT DEFAULT '' NOT NULL, weekly_missed BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_guild_settings PRIMARY KEY (guild_id)
);
INSERT INTO "guild_settings" VALUES(10,'Asia/Kolkata',20,'','',0);
CREATE TABLE history (
	id INTEGER NOT NULL, 
	turn_id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	role TEXT NOT NULL, 
	content TEXT NOT NULL, 
	created_at BIGINT NOT NULL, private_to BIGINT DEFAULT 0 NOT NULL, speaker TEXT DEFAULT '' NOT NULL, attached TEXT DEFAULT '' NOT NULL, pictures BIGINT DEFAULT 0 NOT NULL, finish_reason TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_history PRIMARY KEY (id), 
	CONSTRAINT fk_history_turn_id_requests FOREIGN KEY(turn_id) REFERENCES requests (id), 
	CONSTRAINT uq_history_turn_id_role UNIQUE (turn_id, role)
);
INSERT INTO "history" VALUES(1,1,10,20,30,'user','The first question?',1795421372,0,'','',0,'');
INSERT INTO "history" VALUES(2,1,10,20,30,'assistant','The first answer.',1795421372,0,'','',0,'stop');
INSERT INTO "history" VALUES(3,2,10,20,31,'user','The second question,
in two lines?',1795421372,0,'','',0,'');
INSERT INTO "history" VALUES(4,2,10,20,31,'assistant','The second answer, with ’ and 🙂.',1795421372,0,'','',0,'stop');
INSERT INTO "history" VALUES(5,4,10,20,30,'user','A private question?',1795421372,30,'','',0,'');
INSERT INTO "history" VALUES(6,4,10,20,30,'assistant','A private answer.',1795421372,30,'','',0,'stop');
INSERT INTO "history" VALUES(7,5,11,21,30,'user','A question elsewhere?',1795421372,0,'','',0,'');
INSERT INTO "history" VALUES(8,5,11,21,30,'assistant','An answer elsewhere.',1795421372,0,'','',0,'stop');
CREATE TABLE history_pictures (
	entry_id INTEGER NOT NULL, 
	place BIGINT NOT NULL, 
	media_type TEXT NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT pk_history_pictures PRIMARY KEY (entry_id, place), 
	CONSTRAINT fk_history_pictures_entry_id_history FOREIGN KEY(entry_id) REFERENCES history (id) ON DELETE CASCADE
);
CREATE TABLE key_states (
	provider TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	model TEXT NOT NULL, 
	status TEXT NOT NULL, 
	until BIGINT, 
	reason TEXT NOT NULL, 
	strikes BIGINT NOT NULL, 
	CONSTRAINT pk_key_states PRIMARY KEY (provider, holder, model)
);
INSERT INTO "key_states" VALUES('some-vendor','some-account','','spent',1900000000,'exhausted',2);
CREATE TABLE pictures (
	id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	prompt TEXT NOT NULL, 
	negative TEXT NOT NULL, 
	model TEXT NOT NULL, 
	width BIGINT NOT NULL, 
	height BIGINT NOT NULL, 
	seed BIGINT NOT NULL, 
	steps BIGINT, 
	guidance DOUBLE, 
	count BIGINT NOT NULL, 
	spoiler BOOLEAN NOT NULL, 
	private BOOLEAN NOT NULL, 
	made TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_pictures PRIMARY KEY (id), 
	CONSTRAINT fk_pictures_id_requests FOREIGN KEY(id) REFERENCES requests (id)
);
INSERT INTO "pictures" VALUES(6,10,20,30,'a picture','','',1024,1024,7,NULL,NULL,1,0,0,'[{"width": 8, "height": 8, "model": "scripted-image-model", "seed": 7, "steps": null, "guidance": null, "negative": ""}]',1795421372);
CREATE TABLE requests (
	id INTEGER NOT NULL, 
	interaction_id BIGINT NOT NULL, 
	guild_id BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	command TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	open BOOLEAN NOT NULL, 
	reserved_tokens BIGINT NOT NULL, 
	reserved_pictures BIGINT NOT NULL, 
	outcome TEXT NOT NULL, reserved_micros BIGINT DEFAULT 0 NOT NULL, role_ids TEXT DEFAULT '' NOT NULL, process BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_requests PRIMARY KEY (id), 
	CONSTRAINT uq_requests_interaction_id UNIQUE (interaction_id)
);
INSERT INTO "requests" VALUES(1,1,10,20,30,'ask',1795421372,0,0,0,'answered',0,'',0);
INSERT INTO "requests" VALUES(2,2,10,20,31,'ask',1795421372,0,0,0,'answered',0,'',0);
INSERT INTO "requests" VALUES(3,3,10,20,30,'ask',1795421372,0,0,0,'failed',0,'',0);
INSERT INTO "requests" VALUES(4,4,10,20,30,'ask',1795421372,0,0,0,'answered',0,'',0);
INSERT INTO "requests" VALUES(5,5,11,21,30,'ask',1795421372,0,0,0,'answered',0,'',0);
INSERT INTO "requests" VALUES(6,6,10,20,30,'imagine',1795421372,0,0,0,'answered',0,'',0);
INSERT INTO "requests" VALUES(7,9,10,20,30,'ask',1795421372,1,100,0,'',0,'',0);
CREATE TABLE usage_roles (
	role_id BIGINT NOT NULL, 
	slot BIGINT NOT NULL, 
	tokens BIGINT NOT NULL, 
	pictures BIGINT NOT NULL, 
	cost_micros BIGINT NOT NULL, 
	CONSTRAINT pk_usage_roles PRIMARY KEY (role_id, slot)
);
CREATE TABLE usage_slots (
	guild_id BIGINT NOT NULL, 
	slot BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	command TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	requests BIGINT NOT NULL, 
	failures BIGINT NOT NULL, 
	prompt_tokens BIGINT NOT NULL, 
	completion_tokens BIGINT NOT NULL, 
	estimated_tokens BIGINT NOT NULL, 
	pictures BIGINT NOT NULL, 
	pixels BIGINT NOT NULL, 
	cost_micros BIGINT NOT NULL, 
	unpriced BIGINT NOT NULL, 
	estimated BIGINT NOT NULL, 
	fallbacks BIGINT NOT NULL, 
	CONSTRAINT pk_usage_slots PRIMARY KEY (guild_id, slot, channel_id, user_id, command, provider, model)
)
 WITHOUT ROWID

;
INSERT INTO "usage_slots" VALUES(10,1795420800,20,30,'ask','scripted','scripted-model',2,1,20,10,0,0,0,0,0,0,0);
INSERT INTO "usage_slots" VALUES(10,1795420800,20,30,'imagine','scripted-images','scripted-image-model',1,0,0,0,0,1,64,0,0,0,0);
INSERT INTO "usage_slots" VALUES(10,1795420800,20,31,'ask','scripted','scripted-model',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_slots" VALUES(11,1795420800,21,30,'ask','scripted','scripted-model',1,0,10,5,0,0,0,0,0,0,0);
CREATE TABLE usage_sums (
	guild_id BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	time BIGINT NOT NULL, 
	subject_id BIGINT NOT NULL, 
	command TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	key_variable TEXT NOT NULL, 
	requests BIGINT NOT NULL, 
	failures BIGINT NOT NULL, 
	prompt_tokens BIGINT NOT NULL, 
	completion_tokens BIGINT NOT NULL, 
	estimated_tokens BIGINT NOT NULL, 
	pictures BIGINT NOT NULL, 
	pixels BIGINT NOT NULL, 
	cost_micros BIGINT NOT NULL, 
	unpriced BIGINT NOT NULL, 
	estimated BIGINT NOT NULL, 
	fallbacks BIGINT NOT NULL, 
	CONSTRAINT pk_usage_sums PRIMARY KEY (guild_id, kind, time, subject_id, command, provider, model, key_variable)
)
 WITHOUT ROWID

;
INSERT INTO "usage_sums" VALUES(-1,'bot',1795392000,0,'ask','scripted','scripted-model','scripted-key',4,1,40,20,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(-1,'bot',1795392000,0,'imagine','scripted-images','scripted-image-model','SOME_KEY',1,0,0,0,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(-1,'server',1795392000,10,'','','','',4,1,30,15,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(-1,'server',1795392000,11,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'channel',1795392000,20,'','','','',4,1,30,15,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'day',1795392000,0,'ask','scripted','scripted-model','',3,1,30,15,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'day',1795392000,0,'imagine','scripted-images','scripted-image-model','',1,0,0,0,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'member',1795392000,30,'','','','',3,1,20,10,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'member',1795392000,31,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'member16',1794355200,30,'','','','',3,1,20,10,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'member16',1794355200,31,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'member4',1795392000,30,'','','','',3,1,20,10,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'member4',1795392000,31,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(10,'slot',1795420800,0,'','','','',4,1,30,15,0,1,64,0,0,0,0);
INSERT INTO "usage_sums" VALUES(11,'channel',1795392000,21,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(11,'day',1795392000,0,'ask','scripted','scripted-model','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(11,'member',1795392000,30,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(11,'member16',1794355200,30,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(11,'member4',1795392000,30,'','','','',1,0,10,5,0,0,0,0,0,0,0);
INSERT INTO "usage_sums" VALUES(11,'slot',1795420800,0,'','','','',1,0,10,5,0,0,0,0,0,0,0);
CREATE INDEX ix_requests_open ON requests (id) WHERE open;
CREATE INDEX ix_attempts_sent ON attempts (id) WHERE state = 'sent';
CREATE INDEX ix_attempts_sent_at ON attempts (sent_at);
CREATE INDEX ix_history_channel_id_private_to_turn_id ON history (channel_id, private_to, turn_id);
CREATE INDEX ix_history_user_id_channel_id_turn_id ON history (user_id, channel_id, turn_id);
CREATE INDEX ix_usage_slots_user_id_slot ON usage_slots (user_id, slot);
CREATE INDEX ix_pictures_user_id ON pictures (user_id);
COMMIT;
