BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
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
	pictures BIGINT NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (id), 
	CONSTRAINT fk_attempts_interaction_id_requests FOREIGN KEY(interaction_id) REFERENCES requests (interaction_id), 
	CONSTRAINT uq_attempts_interaction_id_attempt UNIQUE (interaction_id, attempt)
);
INSERT INTO "attempts" VALUES(1,1,1,10,20,30,'ask','scripted','scripted-model','scripted-key',1795417338,1795417338,'settled','provider','',10,5,0,0,0);
INSERT INTO "attempts" VALUES(2,2,1,10,20,31,'ask','scripted','scripted-model','scripted-key',1795417338,1795417338,'settled','provider','',10,5,0,0,0);
INSERT INTO "attempts" VALUES(3,3,1,10,20,30,'ask','scripted','scripted-model','scripted-key',1795417338,1795417338,'unbilled','','content',0,0,0,0,0);
INSERT INTO "attempts" VALUES(4,4,1,10,20,30,'ask','scripted','scripted-model','scripted-key',1795417338,1795417338,'settled','provider','',10,5,0,0,0);
INSERT INTO "attempts" VALUES(5,5,1,11,21,30,'ask','scripted','scripted-model','scripted-key',1795417338,1795417338,'settled','provider','',10,5,0,0,0);
INSERT INTO "attempts" VALUES(6,6,1,10,20,30,'imagine','scripted-images','scripted-image-model','SOME_KEY',1795417338,1795417338,'settled','provider','',0,0,0,0,1);
INSERT INTO "attempts" VALUES(7,9,1,10,20,30,'ask','some-vendor','some-model','SOME_KEY',1795417338,NULL,'sent','','',60,40,0,0,0);
CREATE TABLE history (
	id INTEGER NOT NULL, 
	turn_id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	role TEXT NOT NULL, 
	content TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_history PRIMARY KEY (id), 
	CONSTRAINT fk_history_turn_id_requests FOREIGN KEY(turn_id) REFERENCES requests (id), 
	CONSTRAINT uq_history_turn_id_role UNIQUE (turn_id, role)
);
INSERT INTO "history" VALUES(1,1,10,20,30,'user','The first question?',1795417338);
INSERT INTO "history" VALUES(2,1,10,20,30,'assistant','The first answer.',1795417338);
INSERT INTO "history" VALUES(3,2,10,20,31,'user','The second question,
in two lines?',1795417338);
INSERT INTO "history" VALUES(4,2,10,20,31,'assistant','The second answer, with ’ and 🙂.',1795417338);
INSERT INTO "history" VALUES(5,5,11,21,30,'user','A question elsewhere?',1795417338);
INSERT INTO "history" VALUES(6,5,11,21,30,'assistant','An answer elsewhere.',1795417338);
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
	outcome TEXT NOT NULL, 
	CONSTRAINT pk_requests PRIMARY KEY (id), 
	CONSTRAINT uq_requests_interaction_id UNIQUE (interaction_id)
);
INSERT INTO "requests" VALUES(1,1,10,20,30,'ask',1795417338,0,0,0,'answered');
INSERT INTO "requests" VALUES(2,2,10,20,31,'ask',1795417338,0,0,0,'answered');
INSERT INTO "requests" VALUES(3,3,10,20,30,'ask',1795417338,0,0,0,'failed');
INSERT INTO "requests" VALUES(4,4,10,20,30,'ask',1795417338,0,0,0,'answered');
INSERT INTO "requests" VALUES(5,5,11,21,30,'ask',1795417338,0,0,0,'answered');
INSERT INTO "requests" VALUES(6,6,10,20,30,'imagine',1795417338,0,0,0,'answered');
INSERT INTO "requests" VALUES(7,9,10,20,30,'ask',1795417338,1,100,0,'');
CREATE TABLE usage_hourly (
	guild_id BIGINT NOT NULL, 
	hour BIGINT NOT NULL, 
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
	CONSTRAINT pk_usage_hourly PRIMARY KEY (guild_id, hour, channel_id, user_id, command, provider, model)
);
INSERT INTO "usage_hourly" VALUES(10,1795417200,20,30,'ask','scripted','scripted-model',2,1,20,10,0,0);
INSERT INTO "usage_hourly" VALUES(10,1795417200,20,31,'ask','scripted','scripted-model',1,0,10,5,0,0);
INSERT INTO "usage_hourly" VALUES(11,1795417200,21,30,'ask','scripted','scripted-model',1,0,10,5,0,0);
INSERT INTO "usage_hourly" VALUES(10,1795417200,20,30,'imagine','scripted-images','scripted-image-model',1,0,0,0,0,1);
CREATE INDEX ix_requests_open ON requests (id) WHERE open;
CREATE INDEX ix_usage_hourly_hour ON usage_hourly (hour);
CREATE INDEX ix_usage_hourly_user_id_hour ON usage_hourly (user_id, hour);
CREATE INDEX ix_attempts_sent ON attempts (id) WHERE state = 'sent';
CREATE INDEX ix_history_channel_id_id ON history (channel_id, id);
CREATE INDEX ix_history_user_id ON history (user_id);
COMMIT;
