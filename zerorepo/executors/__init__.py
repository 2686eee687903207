"""Where actions are executed. One executor so far: ``local``, in this process."""
