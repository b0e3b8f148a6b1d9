"""Writes one image onto one disk by IPA's own code, and tells what it cost: seconds, seconds of processor, peak memory, room in /tmp.

What its command does around it (finding the disk, wiping, partition tables, rescans) is left out, as in the measurement of Ferrite.
Arguments: URL, format, SHA-256, disk.
"""

import json
import os
import resource
import sys
import time

from ironic_python_agent import config  # noqa: F401
from ironic_python_agent import disk_utils
from ironic_python_agent.extensions import standby


def stream(image, disk):
    extension = standby.StandbyExtension()
    extension.partition_uuids = {}
    extension._stream_raw_image_onto_device(image, disk)
    return 0


def keep_and_convert(image, disk):
    standby._download_image(image)
    kept = standby._image_location(image)
    form, _ = disk_utils.get_and_validate_image_format(kept, image["disk_format"])
    # The arguments of standby._write_whole_disk_image.
    disk_utils.populate_image(
        kept, disk, is_raw=False, source_format=form, out_format="host_device", cache="directsync", out_of_order=True)
    return os.path.getsize(kept)


def main(url, form, checksum, disk):
    image = {"id": "bench", "urls": [url], "disk_format": form, "os_hash_algo": "sha256", "os_hash_value": checksum}
    # After the image: not the disk's business.
    disk_utils.fix_gpt_partition = lambda *_, **__: None
    disk_utils.block_uuid = lambda *_, **__: None
    begin, used = time.monotonic(), processor()
    room = stream(image, disk) if form == "raw" else keep_and_convert(image, disk)
    descriptor = os.open(disk, os.O_RDWR)
    os.fsync(descriptor)
    print(json.dumps([time.monotonic() - begin, processor() - used, peak(), room]))


def processor():
    return sum(usage.ru_utime + usage.ru_stime for usage in usages())


def peak():
    """The largest of the processes; two at once are not added."""
    return max(usage.ru_maxrss for usage in usages()) * 1024


def usages():
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


main(*sys.argv[1:])
