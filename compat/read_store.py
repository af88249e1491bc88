"""Prints every entry of a ledger store as scanner text, read by the RocksDB inside a wheel.

    read_store.py WHEEL read-only|read-write DIR

WHEEL is `rocksdict` or `pyrex`. With read-write the store is opened as a daemon opens it, which
changes it: the log becomes tables. For tests only.
"""

import sys


def rocksdict_entries(mode, directory):
    import rocksdict

    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(False)
    options.set_wal_recovery_mode(rocksdict.DBRecoveryMode.absolute_consistency())
    access = {
        "read-only": rocksdict.AccessType.read_only,
        "read-write": rocksdict.AccessType.read_write,
    }[mode]
    database = rocksdict.Rdict(directory, options, access_type=access())
    yield from database.items()
    database.close()


def pyrex_entries(mode, directory):
    import pyrex

    options = pyrex.PyOptions()
    options.create_if_missing = False
    database = pyrex.PyRocksDB(directory, options, mode == "read-only")
    iterator = database.new_iterator()
    iterator.seek_to_first()
    while iterator.valid():
        yield iterator.key(), iterator.value()
        iterator.next()
    iterator.check_status()
    del iterator
    database.close()


def main():
    wheel, mode, directory = sys.argv[1:]
    entries = {"rocksdict": rocksdict_entries, "pyrex": pyrex_entries}[wheel]
    if mode not in ("read-only", "read-write"):
        sys.exit(f"read_store.py: error: unknown mode {mode}")
    for key, value in entries(mode, directory):
        print(key.hex(), ":", value.hex())


main()
