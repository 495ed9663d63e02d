"""Which file holds one image, told by its name alone: the one definition, for sources and for evaluation sets."""

IMAGES = frozenset(
    """.jpg .jpeg .jpe .jfif .jif .png .webp .gif .bmp .dib .tif .tiff .avif .avifs .jp2 .j2k .jpx .jpf .ppm .pgm .pbm
    .pnm .pfm .psd .qoi .tga .ico .icns .dds .pcx .sgi .heic .heif .hif .jxl .mpo""".split()  # noqa: SIM905
)
"""Endings of what is surely meant as an image."""

RAW = frozenset(
    """.3fr .ari .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw
    .rw2 .rwl .sr2 .srf .srw .x3f""".split()  # noqa: SIM905
)
"""Endings of what cameras write before it is developed."""

NO_IMAGES = frozenset(
    """.csv .tsv .txt .lst .list .json .jsonl .md .html .htm .xml .yaml .yml .toml .ini .log .py .ipynb .sh .cls .pdf
    .db .sqlite .parquet .arrow .feather .npy .npz .pt .pth .safetensors .pkl .mat .h5 .tfrecord
    .tar .tgz .tbz2 .txz .tzst .zip .gz .bz2 .xz .zst .7z .rar .mp4 .mov .avi .mkv .webm .mp3 .wav .flac .xmp .aae
    .md5 .sha256 .caption .captions .text .label .labels .pickle .pyd .msg .mp .id .url .urls .emb .embed .embedding
    .embeddings .ten .tensor .tb .bin .hdf5 .lmdb .mdb .rec .idx .idx2 .m4v .3gp .mpg .mpeg .wmv .m4a .ogg .doc .docx
    .xls .xlsx .ppt .pptx .js .css .c .cpp .h .cfg .conf .license .sha1 .sha512 .sig .torrent .onnx .ckpt .lnk .exe .dll
    .iso .dmg .cbz .cbr .tmp .bak .lock .odt .prproj .lrcat .thm .vtt .srt .gpx .kml .geojson""".split()  # noqa: SIM905
)
"""Endings of files that are not one image each. Everything else may be one: only reading it tells."""

UNFINISHED = frozenset(".part .partial .crdownload .aria2 .download .filepart .!ut .!qb".split())  # noqa: SIM905
"""Endings of downloads that are not done."""


ARCHIVES = frozenset(".tar .tgz .tbz2 .txz .tzst .zip .7z .rar .gz .bz2 .xz .zst .cbz .cbr".split())  # noqa: SIM905
MARKERS = ("_success", "_committed", "_started")
"""Beginnings of files that Spark and its kind leave in a folder."""
SYSTEM = frozenset(
    ["@eadir", "#recycle", "@recycle", "$recycle.bin", "__macosx", "lost+found", "system volume information"]
)
"""Folders in which systems keep thumbnails and waste, in lower case."""
MASK_WORDS = frozenset(
    """seg segm segmentation mask masks maskimage label labels labelids labelmap annotation annotations annot ann gt
    depth disparity normal normals semantic instance instances panoptic matte alpha edge edges canny pose openpose flow
    trimap saliency sem inst thumb thumbnail""".split()  # noqa: SIM905
)
"""What masks, depth maps and thumbnails are called beside their images: `0001.seg.png`, a column `annotation`."""


def ending(path: str) -> str:
    """Return the last ending of a name, in lower case: `.jpg`; empty where there is none."""
    name = path[path.rfind("/") + 1 :]
    return name[name.rfind(".") :].lower() if "." in name[1:] else ""


def may_be_image(path: str) -> bool:
    """Tell whether a file may be an image, by its name; a hidden file is none."""
    last = ending(path)
    return path[path.rfind("/") + 1 :][:1] != "." and last not in NO_IMAGES and last not in UNFINISHED


def no_image(name: str) -> str | None:
    """Return why a file is no image, by its path below its folder, as one word; None where it may be one."""
    *folders, file = name.lower().split("/")
    if file[:1] == "." or any(folder[:1] == "." for folder in folders):
        return "hidden"
    if not SYSTEM.isdisjoint(folders):
        return "system"
    last = ending(file)
    if last in UNFINISHED:
        return "unfinished"
    if last in ARCHIVES:
        return "archive"
    if last in NO_IMAGES or (file.startswith(MARKERS) and last not in IMAGES):
        return "name"
    return None
