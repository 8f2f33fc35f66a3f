"""Settings of files."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

from signaling.config_values import is_url
from signaling.errors import ConfigError

MAX_UPLOAD_EXPIRY_S = 3600.0
MAX_LINK_TTL_S = 300.0
MIN_S3_PART_BYTES = 5 * 2**20


@dataclass(frozen=True, slots=True)
class FileSettings:
    max_file_bytes: int = 2 * 2**30
    """One file."""
    room_file_bytes: int = 10 * 2**30
    """All files of a room together, unfinished ones with their full length."""
    member_file_bytes: int = 4 * 2**30
    """The same for what one member has sent to one room."""
    server_file_bytes: int = 200 * 2**30
    """The same for all rooms together."""
    max_files_per_room: int = 10_000
    """However small they are."""
    max_open_uploads: int = 50
    """Unfinished files of one member in one room."""
    max_file_transfers: int = 200
    """Uploads and downloads that go on at the same time, of everybody together."""
    max_member_file_transfers: int = 20
    """Those of one member in one room."""
    file_creations_per_minute: float = 120.0
    """New files per address (IPv6: per /64); the first minute's worth may come at once."""
    file_block_bytes: int = 256 * 2**10
    """How much of a file is in memory at once, for each transfer."""
    file_stall_timeout_s: float = 30.0
    """An upload that brings less than file_stall_bytes in this time is cut; it may be resumed. A download that takes
    no block in this time is cut."""
    file_stall_bytes: int = 16 * 2**10
    """See file_stall_timeout_s."""
    upload_expiry_s: float = 3600.0
    """An unfinished file that gets nothing for this long is removed; at most 3600."""
    file_sweep_interval_s: float = 60.0
    """How often unfinished files are looked through."""
    min_free_bytes: int = 256 * 2**20
    """What must stay free on the disk of data_dir; uploads that would need it are refused."""
    file_scanner: tuple[str, ...] = ()
    """Program, with its arguments, that gets each file on its standard input before anybody can fetch it; it must end
    with 0 when the file is clean and with 1 when it is not. Empty: files are not looked at."""
    file_scan_timeout_s: float = 60.0
    """Without an answer in this time the file stays unseen."""
    file_link_ttl_s: float = 300.0
    """Validity of a download link that needs no token; at most 300."""
    s3_bucket: str = ""
    """Bucket of an S3-compatible store for the files. Empty: the folder files in data_dir."""
    s3_endpoint: str = ""
    """URL of that store. Empty: that of AWS."""
    s3_region: str = "us-east-1"
    """Region of the bucket."""
    s3_access_key: str = field(default="", repr=False)
    """Access key of the store."""
    s3_secret_key: str = field(default="", repr=False)
    """Secret key of the store."""
    s3_prefix: str = "ting"
    """Folder in the bucket."""
    s3_part_bytes: int = 8 * 2**20
    """Size of the pieces in which a file is kept there; at least 5 MiB."""
    s3_timeout_s: float = 30.0
    """How long one request to the store may take."""


def check_files(settings: FileSettings) -> None:
    """Raises `ConfigError`."""
    if settings.upload_expiry_s > MAX_UPLOAD_EXPIRY_S:
        raise ConfigError(f"upload_expiry_s: at most {MAX_UPLOAD_EXPIRY_S:.0f}")
    if settings.file_link_ttl_s > MAX_LINK_TTL_S:
        raise ConfigError(f"file_link_ttl_s: at most {MAX_LINK_TTL_S:.0f}")
    if settings.s3_part_bytes < MIN_S3_PART_BYTES:
        raise ConfigError(f"s3_part_bytes: at least {MIN_S3_PART_BYTES}")
    if settings.s3_endpoint and not is_url(settings.s3_endpoint, ("http", "https")):
        raise ConfigError("s3_endpoint: an http or https URL is needed")
    if settings.s3_bucket and not (settings.s3_access_key and settings.s3_secret_key):
        raise ConfigError("s3_bucket: set s3_access_key and s3_secret_key too")
    if settings.s3_bucket and not _has_obstore():
        raise ConfigError("s3_bucket: needs the package obstore: install ting[s3]")


def _has_obstore() -> bool:
    """Without loading it, which takes memory that is needed with the first file only."""
    try:
        return importlib.util.find_spec("obstore") is not None
    except ValueError:
        return False
