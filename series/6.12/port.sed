# What new files, written for the newest kernel, spell differently in 6.12.

# Typed allocation came with 7.0.
s/kzalloc_obj(\*\([a-z]*\))/kzalloc(sizeof(*\1), GFP_KERNEL)/
s/kzalloc_obj(\*\([a-z]*\), /kzalloc(sizeof(*\1), /
# Symbol namespaces are strings since 6.13.
s/MODULE_IMPORT_NS("\([A-Z_]*\)")/MODULE_IMPORT_NS(\1)/
s/\(EXPORT_SYMBOL_NS_GPL([a-z_]*\), "\([A-Z_]*\)")/\1, \2)/
# The importer's callback and the exporter's call had other names, and there
# was no helper to ask for the callback, which every dynamic importer had.
s/\.invalidate_mappings = /.move_notify = /
s/->invalidate_mappings(/->move_notify(/
s/dma_buf_invalidate_mappings(/dma_buf_move_notify(/
s/dma_buf_attach_revocable(\([a-z]*\))/\1->importer_ops/
# A dynamic importer of a static exporter was mapped in both directions at once.
s/&importer_attach_ops, m);/dmabuf->ops->pin ? \&importer_attach_ops : NULL, m);/
# Heaps had no accounting.
/if (mem_accounting)/,+1d
# Reset controllers were found by device tree nodes only.
/uio_test_controller\.fwnode = /d
# A device's flags were bit fields, this one not on all architectures.
s/^\tdev_set_dma_coherent(dev);/#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE\n\tdev->dma_coherent = true;\n#endif/
s/^\tdev_clear_dma_coherent(other);/#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE\n\tother->dma_coherent = false;\n#endif/
