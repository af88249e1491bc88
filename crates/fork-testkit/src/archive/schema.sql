-- The tables of an archive that ledgers are read from; columns nobody reads here are left out.
-- The elements of zkApp states are filled in.
CREATE TYPE chain_status_type AS ENUM ('canonical', 'orphaned', 'pending');
CREATE TYPE zkapp_auth_required_type AS ENUM
  ('none', 'either', 'proof', 'signature', 'both', 'impossible');
CREATE TABLE public_keys (id serial PRIMARY KEY, value text NOT NULL UNIQUE);
CREATE TABLE tokens (id serial PRIMARY KEY, value text NOT NULL UNIQUE);
CREATE TABLE token_symbols (id serial PRIMARY KEY, value text NOT NULL);
CREATE TABLE voting_for (id serial PRIMARY KEY, value text NOT NULL);
CREATE TABLE account_identifiers (id serial PRIMARY KEY, public_key_id int NOT NULL,
  token_id int NOT NULL, UNIQUE (public_key_id, token_id));
CREATE TABLE timing_info (id serial PRIMARY KEY, account_identifier_id int NOT NULL,
  initial_minimum_balance text NOT NULL, cliff_time bigint NOT NULL, cliff_amount text NOT NULL,
  vesting_period bigint NOT NULL, vesting_increment text NOT NULL);
CREATE TABLE zkapp_permissions (id serial PRIMARY KEY,
  edit_state zkapp_auth_required_type NOT NULL, send zkapp_auth_required_type NOT NULL,
  receive zkapp_auth_required_type NOT NULL, access zkapp_auth_required_type NOT NULL,
  set_delegate zkapp_auth_required_type NOT NULL, set_permissions zkapp_auth_required_type NOT NULL,
  set_verification_key_auth zkapp_auth_required_type NOT NULL,
  set_verification_key_txn_version int NOT NULL, set_zkapp_uri zkapp_auth_required_type NOT NULL,
  edit_action_state zkapp_auth_required_type NOT NULL,
  set_token_symbol zkapp_auth_required_type NOT NULL,
  increment_nonce zkapp_auth_required_type NOT NULL,
  set_voting_for zkapp_auth_required_type NOT NULL, set_timing zkapp_auth_required_type NOT NULL);
CREATE TABLE zkapp_field (id serial PRIMARY KEY, field text NOT NULL UNIQUE);
CREATE TABLE zkapp_states (id serial PRIMARY KEY, {elements});
CREATE TABLE zkapp_action_states (id serial PRIMARY KEY, element0 int NOT NULL,
  element1 int NOT NULL, element2 int NOT NULL, element3 int NOT NULL, element4 int NOT NULL);
CREATE TABLE zkapp_uris (id serial PRIMARY KEY, value text NOT NULL UNIQUE);
CREATE TABLE zkapp_verification_key_hashes (id serial PRIMARY KEY, value text NOT NULL UNIQUE);
CREATE TABLE zkapp_verification_keys (id serial PRIMARY KEY, verification_key text NOT NULL UNIQUE,
  hash_id int NOT NULL);
CREATE TABLE zkapp_accounts (id serial PRIMARY KEY, app_state_id int NOT NULL,
  verification_key_id int, zkapp_version bigint NOT NULL, action_state_id int NOT NULL,
  last_action_slot bigint NOT NULL, proved_state bool NOT NULL, zkapp_uri_id int NOT NULL);
CREATE TABLE protocol_versions (id serial PRIMARY KEY, transaction int NOT NULL,
  network int NOT NULL, patch int NOT NULL);
CREATE TABLE snarked_ledger_hashes (id serial PRIMARY KEY, value text NOT NULL UNIQUE);
CREATE TABLE epoch_data (id serial PRIMARY KEY, seed text NOT NULL, ledger_hash_id int NOT NULL,
  total_currency text NOT NULL, start_checkpoint text NOT NULL, lock_checkpoint text NOT NULL,
  epoch_length bigint NOT NULL);
CREATE TABLE blocks (id serial PRIMARY KEY, state_hash text NOT NULL UNIQUE, parent_id int,
  parent_hash text NOT NULL, last_vrf_output text NOT NULL, snarked_ledger_hash_id int NOT NULL,
  staking_epoch_data_id int NOT NULL, next_epoch_data_id int NOT NULL,
  total_currency text NOT NULL, ledger_hash text NOT NULL, height bigint NOT NULL,
  global_slot_since_hard_fork bigint NOT NULL, global_slot_since_genesis bigint NOT NULL,
  protocol_version_id int NOT NULL, "timestamp" text NOT NULL,
  chain_status chain_status_type NOT NULL);
CREATE INDEX ON blocks (parent_id);
CREATE TABLE accounts_accessed (ledger_index int NOT NULL, block_id int NOT NULL,
  account_identifier_id int NOT NULL, token_symbol_id int NOT NULL, balance text NOT NULL,
  nonce bigint NOT NULL, receipt_chain_hash text NOT NULL, delegate_id int,
  voting_for_id int NOT NULL, timing_id int, permissions_id int NOT NULL, zkapp_id int,
  CONSTRAINT one_row_per_account PRIMARY KEY (block_id, account_identifier_id));
CREATE INDEX ON accounts_accessed (block_id);
CREATE INDEX ON accounts_accessed (account_identifier_id);
CREATE TABLE blocks_user_commands (block_id int NOT NULL, sequence_no int NOT NULL);
CREATE TABLE blocks_zkapp_commands (block_id int NOT NULL, sequence_no int NOT NULL);
CREATE TABLE blocks_internal_commands (block_id int NOT NULL, sequence_no int NOT NULL);
